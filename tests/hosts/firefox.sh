#!/bin/sh
# Makes sure that a Firefox is here: FIREFOX, or Debian's package.
[ -n "$FIREFOX" ] && [ -x "$FIREFOX" ] && exit 0
for name in firefox-esr firefox; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends firefox-esr >/dev/null && exit 0
fi
echo "These tests need Firefox: 'apt-get install firefox-esr' as root, or set FIREFOX to its path." >&2
exit 1
