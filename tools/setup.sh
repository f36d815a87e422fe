#!/usr/bin/env bash
# Installs what is missing on this machine: tools/setup.sh [build] [demo] [test] [check] [fetch] [cluster]
#
# Silent and quick when nothing is missing. Whatever is there already counts, however it came there;
# only what is absent is installed, from Debian's packages. Elsewhere it says what to install, by the
# names of Fedora, Arch and Homebrew, which were not tried.
set -euo pipefail

# use | how its presence is seen | its name for that | its packages: Debian Fedora Arch Homebrew,
# where - is nothing to install (part of the system or of another package) and ? is not packaged
NEEDS='
build program gcc gcc gcc gcc gcc
build program pkg-config pkg-config pkgconf-pkg-config pkgconf pkgconf
build file /usr/include/string.h libc6-dev glibc-devel glibc -
build library openblas libopenblas-openmp-dev openblas-devel openblas openblas
build library yaml-0.1 libyaml-dev libyaml-devel libyaml libyaml
build library sqlite3 libsqlite3-dev sqlite-devel sqlite sqlite
build library jansson libjansson-dev jansson-devel jansson jansson
build library zlib zlib1g-dev zlib-devel zlib zlib
build library nettle nettle-dev nettle-devel nettle nettle
build library libutf8proc libutf8proc-dev utf8proc-devel libutf8proc utf8proc
build program g++ g++ gcc-c++ gcc gcc
build header sentencepiece_processor.h libsentencepiece-dev sentencepiece-devel sentencepiece sentencepiece
demo program bible bible-kjv ? ? ?
demo file /usr/lib/bible.data bible-kjv-text ? ? ?
demo program gnuplot gnuplot-nox gnuplot gnuplot gnuplot
demo program fc-list fontconfig fontconfig fontconfig fontconfig
demo font Liberation|DejaVu fonts-liberation liberation-fonts ttf-liberation font-liberation
test program clang clang clang clang llvm
test compiler-rt fuzzer libclang-rt-14-dev compiler-rt compiler-rt llvm
test program spm_train sentencepiece sentencepiece-tools sentencepiece sentencepiece
test program sqlite3 sqlite3 sqlite sqlite sqlite
test program curl curl curl curl curl
test program unzip unzip unzip unzip unzip
test shared libgsl.so libgsl27 gsl gsl gsl
cluster program slurmctld slurmctld slurm-slurmctld ? ?
cluster program slurmd slurmd slurm-slurmd ? ?
cluster program sbatch slurm-client slurm ? ?
cluster program munged munge munge munge munge
cluster program mpirun openmpi-bin openmpi openmpi open-mpi
cluster library ompi libopenmpi-dev openmpi-devel openmpi open-mpi
cluster program mpirun.mpich mpich ? ? ?
cluster library mpich libmpich-dev ? ? ?
check program clang-format clang-format clang-tools-extra clang clang-format
check program clang-tidy clang-tidy clang-tools-extra clang llvm
check program shellcheck shellcheck ShellCheck shellcheck shellcheck
fetch program curl curl curl curl curl
fetch program unzip unzip unzip unzip unzip
'

present() { # kind name
    case $1 in
    program) command -v "$2" >/dev/null ;;
    library) command -v pkg-config >/dev/null && pkg-config --exists "$2" ;;
    file) [ -e "$2" ] ;;
    header) echo "#include <$2>" | g++ -E -x c++ - >/dev/null 2>&1 ;;
    shared) PATH=$PATH:/sbin ldconfig -p | grep -F "$2" >/dev/null ;;
    font) command -v fc-list >/dev/null && fc-list | grep -E "$2" >/dev/null ;;
    compiler-rt)
        command -v clang >/dev/null &&
            [ -e "$(clang -print-resource-dir)/lib/linux/libclang_rt.$2-$(uname -m).a" ]
        ;;
    esac
}

# Whose names count here, and how one installs there: in the order of NEEDS' columns.
if command -v apt-get >/dev/null; then
    system=0
elif command -v dnf >/dev/null; then
    system=1 install="sudo dnf install"
elif command -v pacman >/dev/null; then
    system=2 install="sudo pacman -S --needed"
elif command -v brew >/dev/null; then
    system=3 install="brew install"
else
    system=0 install=
fi

uses=" ${*:-build demo} "
missing=() unpackaged=()
while read -r use kind name debian fedora arch brew; do
    [[ -n $use && $uses == *" $use "* ]] || continue
    present "$kind" "$name" && continue
    packages=("$debian" "$fedora" "$arch" "$brew")
    case ${packages[system]} in
    -) ;;
    '?') unpackaged+=("$name") ;;
    *) missing+=("${packages[system]}") ;;
    esac
done <<<"$NEEDS"
[ ${#missing[@]} -gt 0 ] || [ ${#unpackaged[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    [ ${#unpackaged[@]} -eq 0 ] ||
        echo "setup: no package here for ${unpackaged[*]}" >&2
    [ ${#missing[@]} -gt 0 ] || exit 0
    if [ -n "$install" ]; then
        echo "setup: missing: $install $(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')" >&2
    else
        echo "setup: missing, under the names of Debian's packages: ${missing[*]}" >&2
        echo "setup: there is no package manager here that this script knows" >&2
    fi
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
