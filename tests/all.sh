#!/usr/bin/env bash
# All tests, from a bare machine with a Rust toolchain and Python 3: formatting, lints, links, unit, integration and doc
# tests, the book's site in a headless browser, Jupyter's suite for kernels, the notebooks by nbclient and by
# `scorebook run`, the problem sets by nbgrader, and the tour in JupyterLab in a headless browser.
#
# Prints what each part took, and as its last line `N passed, N failed`. SCOREBOOK_TARGET names the target folder (by
# default one in the user's cache, which a second clone finds warm); SCOREBOOK_SKIP a list of parts to leave out.
set -u
cd "$(dirname "$0")/.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/scorebook"
export CARGO_TARGET_DIR="${SCOREBOOK_TARGET:-${CARGO_TARGET_DIR:-$cache/target}}"
export CARGO_TERM_COLOR=never RUST_BACKTRACE=1
# A crate below evcxr is compiled anew wherever this variable differs.
unset CI
# Every run has its own Jupyter folders: nothing of the machine's is used or changed.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export JUPYTER_CONFIG_DIR="$scratch/config" JUPYTER_RUNTIME_DIR="$scratch/runtime" JUPYTER_DATA_DIR="$scratch/data" IPYTHONDIR="$scratch/ipython"
passed=0
failed=0
times=()

# part NAME COMMAND...: runs it, counts the tests that it says it ran (or itself as one) and takes its time.
part() {
    local name=$1 log="$scratch/$1.log" begun=$SECONDS code tally
    shift
    case " ${SCOREBOOK_SKIP:-} " in *" $name "*) echo "== $name: left out" && return 0 ;; esac
    echo "== $name"
    "$@" 2>&1 | tee "$log" | grep --line-buffered -vE '^ +(Compiling|Checking|Downloaded|Downloading|Fresh) |^test .* \.\.\. ok$'
    code=${PIPESTATUS[0]}
    tally=$(sed -nE 's/^test result: [a-zA-Z]+\. ([0-9]+) passed; ([0-9]+) failed;.*/\1 \2/p; s/^tally: ([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log" |
        awk '{p += $1; f += $2} END {print p + 0, f + 0}')
    local p=${tally% *} f=${tally#* }
    if [ "$p" = 0 ] && [ "$f" = 0 ]; then
        [ "$code" = 0 ] && p=1 || f=1
    elif [ "$code" != 0 ] && [ "$f" = 0 ]; then
        f=1
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    times+=("$(printf '%-12s %5d s  %4d passed, %d failed' "$name" $((SECONDS - begun)) "$p" "$f")")
    return "$code"
}

scratch_python="$cache/test-python/bin/python"
python() { "$scratch_python" "$@"; }

# The Python packages of the tests, in a virtual environment of their own.
environment() {
    local wanted="$cache/test-python/requirements.txt"
    if ! cmp -s tests/python/requirements.txt "$wanted"; then
        rm -rf "$cache/test-python"
        python3 -m venv "$cache/test-python" || { as_root apt-get update && as_root apt-get install -y python3-venv && python3 -m venv "$cache/test-python"; } || return 1
        "$scratch_python" -m pip install --quiet -r tests/python/requirements.txt || return 1
        cp tests/python/requirements.txt "$wanted"
    fi
    "$scratch_python" -c 'import jupyterlab, nbclient, nbgrader, playwright' || return 1
    command -v chromium >/dev/null || { as_root apt-get update -qq && as_root apt-get install -y -qq chromium >/dev/null; } || return 1
    chromium --version
}

as_root() {
    if [ "$(id -u)" = 0 ]; then DEBIAN_FRONTEND=noninteractive "$@"; else sudo -n DEBIAN_FRONTEND=noninteractive "$@"; fi
}

# The library's documentation, with warnings denied and its formulas drawn; of nothing else, for the site.
documentation() {
    rm -rf "$CARGO_TARGET_DIR/doc"
    RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --lib --no-deps && python tests/python/documentation.py "$CARGO_TARGET_DIR/doc/scorebook"
}

# The kernel, installed for the tests' Python, and the tour by it, which first builds the notebooks' dependencies.
tour() {
    "$scorebook" install --prefix "$cache/test-python" &&
        "$scorebook" run notebooks/00-tour.ipynb --output "$scratch/run"
}

narrow() {
    SCOREBOOK_INSTRUCTIONS=avx2 cargo test --release --locked --lib tensor:: &&
        SCOREBOOK_INSTRUCTIONS=candle cargo test --release --locked --test mathematics -- net:: devices::
}

scorebook="$CARGO_TARGET_DIR/release/scorebook"
export SCOREBOOK_TEST_PYTHON="$scratch_python"
part environment environment
part format cargo fmt --check
part links python tests/python/links.py
part text python tests/python/text.py
part build cargo build --release --locked
part clippy cargo clippy --release --locked --all-targets -- -D warnings
part documentation documentation
part site python tests/python/site.py "$CARGO_TARGET_DIR/doc"
part tour tour
# The ignored ones need the notebooks' build and a Python, both of which are there now.
part tests cargo test --release --locked --no-fail-fast --lib --bins --tests -- --include-ignored
# The kernels again as on a machine without AVX-512, and the networks as on a GPU, by candle's ops.
part narrow narrow
part doctests cargo test --release --locked --no-fail-fast --doc
part conformance python tests/python/conformance.py
part notebooks python tests/python/notebooks.py
part assignments python tests/python/assignments.py
part browser python tests/python/browser.py "$scorebook"

echo
printf '%s\n' "${times[@]}"
printf '%-12s %5d s\n' all $SECONDS
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
