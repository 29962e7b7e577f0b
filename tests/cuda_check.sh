#!/usr/bin/env bash
# Checks that the library compiles with the feature `cuda` on a machine without the CUDA toolkit: its types, not its
# kernels. A stand-in for nvcc says a version and writes empty files. Not a part of the test run: candle is built again.
set -eu
cd "$(dirname "$0")/.."
toolkit=$(mktemp -d)
trap 'rm -rf "$toolkit"' EXIT
mkdir "$toolkit/bin"
cat >"$toolkit/bin/nvcc" <<'NVCC'
#!/usr/bin/env bash
[ "${1:-}" = --version ] && printf '%s\n' nvcc NVIDIA 'Built without it' 'Cuda compilation tools, release 12.6, V12.6.20' && exit
while [ $# -gt 0 ]; do
    case "$1" in
        -o | --output-file) : >"$2" && shift ;;
        --output-directory | -odir) folder=$2 && shift ;;
        *.cu) source=$1 ;;
    esac
    shift
done
[ -z "${folder:-}" ] || : >"$folder/$(basename "${source:-none}" .cu).ptx"
NVCC
chmod +x "$toolkit/bin/nvcc"
export PATH="$toolkit/bin:$PATH" CUDA_HOME="$toolkit" CUDA_PATH="$toolkit" NVCC="$toolkit/bin/nvcc" CUDA_COMPUTE_CAP=90
cargo check --locked --release --lib --no-default-features --features cuda
