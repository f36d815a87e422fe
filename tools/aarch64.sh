#!/usr/bin/env bash
# Builds for 64-bit ARM on a Debian machine of another kind, and runs suites there by emulation:
#
#   tools/aarch64.sh [FILTER...]     the arguments of build/KIND/test; core/ layers/ models/ data/ if none
#   KIND=f64 tools/aarch64.sh core/op_gradients
#
# Needs gcc-aarch64-linux-gnu, g++-aarch64-linux-gnu and qemu-user-static (static: what tests load into the
# program the emulator's own loader would look for as well, and complain). The libraries come from Debian's
# packages for that processor, which are unpacked into build/aarch64/root: nothing of this machine changes.
# Suites that start ./loci need a kernel that starts such programs by the emulator: it is told so
# (binfmt_misc) in a namespace of this script's own, which Linux allows from 6.7 on, or for all of the machine
# by Debian's qemu-user-binfmt. Elsewhere they are skipped.
#
# How long: tests/README.md has it by suite. Most take a minute or less by emulation, those that start many
# programs or measure speed a quarter of an hour and more; LOCI_TEST_ONE_OF=24 draws less of what layers must keep.
set -euo pipefail
cd "$(dirname "$0")/.."

for program in aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64-static dpkg-deb; do
    command -v "$program" >/dev/null && continue
    echo "aarch64: no $program: install gcc-aarch64-linux-gnu g++-aarch64-linux-gnu qemu-user-static" >&2
    exit 1
done

# One at a time unpacks and builds; what is built then runs beside others.
mkdir -p build/aarch64
exec 9>build/aarch64/lock
if ! flock --nonblock 9; then
    echo "aarch64: another tools/aarch64.sh builds in $PWD; waiting for it" >&2
    flock 9
fi

suite=${DEBIAN_SUITE:-bookworm}
root=$PWD/build/aarch64/root
libraries=$root/usr/lib/aarch64-linux-gnu
packages="libc6-dev libgomp1 libopenblas-openmp-dev libyaml-dev libsqlite3-dev libjansson-dev zlib1g-dev
    nettle-dev libutf8proc-dev libsentencepiece-dev libstdc++-12-dev"

# Where this machine's apt takes Debian from; apt itself reads its sources, whatever their form.
mirror() {
    local own
    own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    apt-get --print-uris update |
        sed -nE "s#^'(.*)/dists/($suite|${own:-stable}|stable)/InRelease'.*#\\1#p" | sed -n 1p
}

# apt with folders of its own, in which no package counts as installed.
unpack() {
    local from
    from=$(mirror)
    if [ -z "$from" ]; then
        echo "aarch64: no source of apt here has $suite: add one to /etc/apt/sources.list" >&2
        exit 1
    fi
    local own=$PWD/build/aarch64/apt
    rm -rf "$own" "$root"
    mkdir -p "$own/state/lists/partial" "$own/cache/archives/partial" "$root"
    : >"$own/status"
    echo "deb $from $suite main" >"$own/sources.list"
    local get=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64
        -o Dir::State="$own/state" -o Dir::State::status="$own/status" -o Dir::Cache="$own/cache"
        -o Dir::Etc::sourcelist="$own/sources.list" -o Dir::Etc::sourceparts=/dev/null)
    "${get[@]}" update
    # shellcheck disable=SC2086 # a list
    "${get[@]}" install --download-only -y --no-install-recommends $packages
    local package link
    for package in "$own"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    # Absolute links would lead to this machine's own files.
    find "$root" -type l -lname '/*' | while read -r link; do
        ln -sfn "$root$(readlink "$link")" "$link"
    done
    rm -rf "$own"
    : >"$root/complete"
}
[ -e "$root/complete" ] || unpack

export PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR=$libraries/pkgconfig:$libraries/openblas-openmp/pkgconfig
kind=${KIND:-release} build=build/aarch64/${KIND:-release}
# LDFLAGS of the environment come after those of the Makefile, which they would replace as a word of the command.
LDFLAGS="-Wl,-rpath-link,$libraries -Wl,-rpath-link,$libraries/openblas-openmp" \
    make --no-print-directory KIND="$kind" BUILD="$build" MARCH=armv8-a \
    CC="aarch64-linux-gnu-gcc --sysroot=$root" "$build/bin/loci" test-binary
exec 9>&-

[ $# -gt 0 ] || set -- core/ layers/ models/ data/
export QEMU_LD_PREFIX=$root LD_LIBRARY_PATH=$libraries/openblas-openmp:$libraries
started() { # does the kernel start programs for that processor?
    grep -qs '^enabled' /proc/sys/fs/binfmt_misc/qemu-aarch64
}

# Its header's first bytes, and which bits of them count.
elf='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

# Runs a command where the kernel is told, in this shell's place. Root's namespace has all of its users, so that
# a test can become another and Slurm starts; they can be named only from outside. Anyone else's has one.
within() {
    local outer=$BASHPID user=--map-root-user
    if [ "$(id -u)" = 0 ]; then
        user=--mount # as it is in any case
        ( (name_users "$outer" "$(readlink /proc/self/ns/user)") & )
    fi
    # shellcheck disable=SC2016 # for the inner shells, the second of which has a name and so its rights
    exec unshare --user --mount "$user" sh -c 'tries=100
        until grep -q . /proc/self/gid_map; do [ $((tries -= 1)) -gt 0 ] && sleep 0.05 || exit 1; done; exec "$@"' - \
        sh -c 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc 2>/dev/null &&
            printf "%s" "$1" >/proc/sys/fs/binfmt_misc/register && shift && exec "$@"' - \
        ":qemu-aarch64:M::$elf:$mask:$(command -v qemu-aarch64-static):F" "$@"
}
name_users() { # PROCESS NAMESPACE: once it has left this namespace
    local map
    while [ "$(readlink "/proc/$1/ns/user")" = "$2" ]; do sleep 0.05; done
    for map in uid_map gid_map; do
        awk '{print $1, $1, $3}' /proc/self/$map >"/proc/$1/$map"
    done
}

export LOCI_PROGRAM=$PWD/$build/bin/loci LOCI_TEST_EMULATED=1 # what emulation changes is not tried
if started; then exec "$build/test" "$@"; fi
if (within true) 2>/dev/null; then within "$build/test" "$@"; fi
# The variable keeps the runner from starting itself anew, which emulation alone cannot.
OMP_NUM_THREADS=1 LOCI_PROGRAM=/nowhere exec qemu-aarch64-static "$build/test" "$@"
