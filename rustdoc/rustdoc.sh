#!/bin/sh
# rustdoc, with formulas for this package alone: flags in .cargo/config.toml would reach the dependencies too, in whose
# folders the files are not.
case " $* " in
*" --crate-name scorebook "*)
    here=$(dirname "$0")
    exec rustdoc "$@" --html-in-header "$here/header.html" --extend-css "$here/katex.css"
    ;;
esac
exec rustdoc "$@"
