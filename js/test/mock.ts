/** A host without a kernel: a model which answers about maps of our own. */
import type { Choices } from "../src/explorer/choices";
import type { Facts } from "../src/host/facts";
import type { Model } from "../src/host/traits";
import { type Answer, OPERATIONS, type Question } from "./answers";
import type { MockMap } from "./maps";
import { MockTraits } from "./traits";

export class MockModel extends MockTraits<Choices, Facts> {
  readonly maps: MockMap[];
  readonly sent: Question[] = [];
  widget_manager: NonNullable<Model["widget_manager"]> = { kernel: { connectionStatus: "connected" } };
  /** Decides on each question: answer now, hold it back, or refuse with a sentence. */
  policy: (question: Question) => "answer" | "hold" | { error: string } = () => "answer";
  readonly held: Question[] = [];
  constructor(maps: MockMap[], choices: Partial<Choices> = {}, title = "") {
    super({ title, maps: maps.map(({ facts }) => facts) }, choices);
    this.maps = maps;
  }

  override send(content: unknown): void {
    const question = content as Question;
    this.sent.push(question);
    const decision = this.policy(question);
    if (decision === "hold") this.held.push(question);
    else queueMicrotask(() => this.answer(question, decision === "answer" ? undefined : decision.error));
  }

  answer(question: Question, error?: string): void {
    if (error !== undefined) {
      this.message({ id: question.id, ok: false, error });
      return;
    }
    const { header, buffers } = this.replyTo(question);
    this.message({ id: question.id, ok: true, header }, buffers);
  }

  replyTo(question: Question): Answer {
    const map = this.maps.find(({ facts }) => facts.name === question.map)!;
    const { header, buffers } = OPERATIONS[question.op](map, question);
    const { version } = this.get("facts") as Facts;
    const versioned = question.op === "tile" || question.op === "projections";
    const told = versioned && version !== undefined ? { ...header, version } : header;
    return { header: told, buffers };
  }

  /** Answer everything that was held back. */
  release(): void {
    this.policy = () => "answer";
    for (const question of this.held.splice(0)) this.answer(question);
  }

  /** What JupyterLab does with every widget of a kernel that is restarted; anywidget does not pass on comm_live. */
  disconnect(): void {
    this.comm_live = undefined;
    this.send = () => {
      throw new Error("Cannot send");
    };
    this.emit("comm_live_update");
  }

  message(content: unknown, buffers: DataView[] = []): void {
    this.emit("msg:custom", content, buffers);
  }
}
