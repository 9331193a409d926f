#!/bin/sh
# Makes sure that a Chromium is here for the browser tests: CHROMIUM, or Debian's package.
[ -n "$CHROMIUM" ] && [ -x "$CHROMIUM" ] && exit 0
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core fonts-noto-color-emoji >/dev/null && exit 0
fi
echo "The browser tests need Chromium: 'apt-get install chromium fonts-noto-color-emoji' as root, or set CHROMIUM to its path." >&2
exit 1
