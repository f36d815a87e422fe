#!/usr/bin/env bash
# Installs what is missing on this machine: tools/setup.sh [build] [demo] [test] [check] [fetch] [cluster]
#
# Silent and quick when nothing is missing. Whatever is there already counts, however it came there;
# only what is absent is installed, from Debian's packages.
set -euo pipefail

# use | how its presence is seen | its name for that | Debian's package
NEEDS='
build program gcc gcc
build program pkg-config pkg-config
build file /usr/include/string.h libc6-dev
build library openblas libopenblas-openmp-dev
build library yaml-0.1 libyaml-dev
build library sqlite3 libsqlite3-dev
build library jansson libjansson-dev
build library zlib zlib1g-dev
build library nettle nettle-dev
build program g++ g++
build file /usr/include/sentencepiece_processor.h libsentencepiece-dev
demo program bible bible-kjv
demo file /usr/lib/bible.data bible-kjv-text
demo program gnuplot gnuplot-nox
demo program fc-list fontconfig
demo font Liberation|DejaVu fonts-liberation
test program clang clang
test compiler-rt fuzzer libclang-rt-14-dev
test program spm_train sentencepiece
test program sqlite3 sqlite3
test program curl curl
test program unzip unzip
test shared libgsl.so.27 libgsl27
cluster program slurmctld slurmctld
cluster program slurmd slurmd
cluster program sbatch slurm-client
cluster program munged munge
check program clang-format clang-format
check program clang-tidy clang-tidy
check program shellcheck shellcheck
fetch program curl curl
fetch program unzip unzip
'

present() { # kind name
    case $1 in
    program) command -v "$2" >/dev/null ;;
    library) command -v pkg-config >/dev/null && pkg-config --exists "$2" ;;
    file) [ -e "$2" ] ;;
    shared) PATH=$PATH:/sbin ldconfig -p | grep -F "$2" >/dev/null ;;
    font) command -v fc-list >/dev/null && fc-list | grep -E "$2" >/dev/null ;;
    compiler-rt)
        command -v clang >/dev/null &&
            [ -e "$(clang -print-resource-dir)/lib/linux/libclang_rt.$2-$(uname -m).a" ]
        ;;
    esac
}

uses=" ${*:-build demo} "
missing=()
while read -r use kind name package; do
    [[ -n $use && $uses == *" $use "* ]] || continue
    present "$kind" "$name" || missing+=("$package")
done <<<"$NEEDS"
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: missing, under the names of Debian's packages: ${missing[*]}" >&2
    echo "setup: there is no apt-get here; install them with this system's own tools" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: missing: ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "setup: installing Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install_all() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
        "${missing[@]}"
}
# A fresh machine has no package lists yet, or old ones.
if ! { install_all || { "${as_root[@]}" apt-get update -q && install_all; }; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get could not install: ${missing[*]}" >&2
    exit 1
fi
