# shellcheck shell=bash
# Read by test.sh and check.sh: folders that are gone when they end.
#   logs               what was printed
#   LOCI_TEST_MEMORY   where most suites leave their files (tests/main.c): in memory, and open to the user
#                      without rights that some become. What failed stays, to be looked at; whoever is
#                      interrupted, before `finished` is set, leaves nothing there.
logs=$(mktemp -d)
LOCI_TEST_MEMORY=$(mktemp -d -p "$(tools/in_memory.sh 2048)" loci-tests-XXXXXX)
chmod a+rx "$LOCI_TEST_MEMORY"
export LOCI_TEST_MEMORY

test_folders_end() {
    rm -rf "$logs"
    [ -n "${finished:-}" ] || rm -rf "$LOCI_TEST_MEMORY"
    rmdir "$LOCI_TEST_MEMORY" 2>/dev/null || true
}
trap test_folders_end EXIT
