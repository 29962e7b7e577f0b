#!/usr/bin/env bash
# Makes katex.css from KaTeX's npm package, here 0.16.47.
#
# rustdoc copies one style sheet of ours beside its pages (--extend-css) and no script, so KaTeX travels in it, as the value
# of a property that header.html reads. Formulas come out as MathML, which browsers draw themselves: neither KaTeX's
# fonts nor its style sheet is needed, and nothing is fetched from a network.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm pack --silent katex@0.16.47 >/dev/null && tar xzf katex-*.tgz)
cp "$folder/package/LICENSE" LICENSE-KaTeX
printf '/* KaTeX 0.16.47, MIT, see LICENSE-KaTeX; made by katex.sh */\n:root{--katex:"%s"}\nmath[display=block]{margin:1em 0}\n' \
    "$(base64 -w0 "$folder/package/dist/katex.min.js")" >katex.css
