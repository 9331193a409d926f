"""Teaching: what the Playground and its lessons are made of."""
