#!/usr/bin/env bash
# Gets corpora from where they are published:
#
#   data/fetch.sh enwik8|text8|pg19|pg19-mini [--out DIR]
#
# DIR (default: data/corpora beside this script) gets a folder of the corpus's name, which
# `data: {corpus: NAME}` finds. What is there already is not fetched again, and an interrupted fetch
# goes on where it stopped. pg19-mini is the 48 books that data/pg19-mini.txt lists.
#
#   LOCI_FETCH_BASE  address to fetch from instead (file:///... works, too)
#   LOCI_FETCH_MD5   checksum of enwik8 or text8 to expect instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$here/corpora
mahoney=http://mattmahoney.net/dc
bucket=https://storage.googleapis.com/deepmind-gutenberg
listing=https://storage.googleapis.com/storage/v1/b/deepmind-gutenberg/o
at_once=16 # connections

say() { printf '%s\n' "$*" >&2; }
die() { say "data/fetch.sh: $*"; exit 1; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null ||
            die "the program $program is missing; run tools/setup.sh fetch, or apt-get install $program"
    done
}

# One large file, resumed: fetch_file ADDRESS TARGET
fetch_file() {
    [ -e "$2" ] && return 0
    mkdir -p "$(dirname "$2")"
    say "fetching $1"
    if ! curl -fL --progress-bar --retry 3 --connect-timeout 30 -C - -o "$2.part" "$1"; then
        # A server without ranges, or a part that was complete: once more from the beginning.
        rm -f "$2.part"
        curl -fL --progress-bar --retry 3 --connect-timeout 30 -o "$2.part" "$1" || die "$1 cannot be fetched"
    fi
    mv "$2.part" "$2"
}

check_md5() { # check_md5 FILE SUM
    local sum
    sum=$(md5sum <"$1")
    [ "${sum%% *}" = "$2" ] || die "$1: its checksum is ${sum%% *}, not $2; remove it and try again"
}

# enwik8 and text8: a zip file that holds one file of the same name.
fetch_zip() { # fetch_zip NAME MD5
    local folder=$out/$1 base=${LOCI_FETCH_BASE:-$mahoney} sum=${LOCI_FETCH_MD5:-$2}
    if [ -e "$folder/$1" ]; then
        say "$folder/$1 is there already"
        return
    fi
    need curl unzip md5sum
    fetch_file "$base/$1.zip" "$folder/$1.zip"
    unzip -p "$folder/$1.zip" "$1" >"$folder/$1.part" ||
        die "$folder/$1.zip is damaged; remove it and try again"
    check_md5 "$folder/$1.part" "$sum"
    mv "$folder/$1.part" "$folder/$1"
    rm "$folder/$1.zip"
    say "$folder/$1"
}

# Many small files: reads lines `address<tab>target`; what exists is left out. A target that could not
# be fetched is missing afterwards.
fetch_many() {
    local config address target
    config=$(mktemp)
    while IFS=$'\t' read -r address target; do
        [ -e "$target" ] && continue
        printf 'url = "%s"\noutput = "%s.part"\n' "$address" "$target"
    done >"$config"
    if [ -s "$config" ]; then
        # Only what curl reports as complete takes its name: a broken transfer leaves a part, too.
        { curl -fsL --retry 3 --connect-timeout 30 --parallel --parallel-max "$at_once" \
            --create-dirs --write-out '%{exitcode} %{filename_effective}\n' --config "$config" \
            2>/dev/null || true; } | sed -n 's/^0 \(.*\)\.part$/\1/p' |
            while IFS= read -r target; do
                mv "$target.part" "$target"
            done
    fi
    rm -f "$config"
}

# Everything in the bucket as `md5<tab>name`, md5 in hexadecimal or `-`.
list_bucket() {
    local base=${LOCI_FETCH_BASE:-$bucket} page token='' folder
    if [ "${base#file://}" != "$base" ]; then
        folder=${base#file://}
        (cd "$folder" && find train validation test -name '*.txt' | sort | sed 's/^/-\t/')
        return
    fi
    page=$(mktemp)
    while :; do
        curl -fsL --retry 3 "$listing?maxResults=1000&fields=nextPageToken,items(name,md5Hash)${token:+&pageToken=$token}" \
            >"$page" || die "the list of PG-19's books cannot be fetched"
        paste <(sed -n 's/.*"md5Hash": *"\([^"]*\)".*/\1/p' "$page" | base64 -d |
            od -An -v -tx1 -w16 | tr -d ' ') \
            <(sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' "$page") | grep $'\t.*\\.txt$' || true
        token=$(sed -n 's/.*"nextPageToken": *"\([^"]*\)".*/\1/p' "$page")
        [ -n "$token" ] || break
    done
    rm -f "$page"
}

fetch_pg19() {
    local folder=$out/pg19 base=${LOCI_FETCH_BASE:-$bucket} list=$out/pg19/books.tsv missing
    need curl md5sum
    mkdir -p "$folder"
    fetch_file "$base/metadata.csv" "$folder/metadata.csv"
    if [ ! -s "$list" ]; then
        list_bucket >"$list.part"
        mv "$list.part" "$list"
    fi
    say "$(wc -l <"$list") books, 11 GB in all; an interrupted fetch goes on when it is started again"
    # A thousand at a time, so that an interruption loses little.
    split -l 1000 "$list" "$list.piece."
    for piece in "$list.piece."*; do
        awk -F'\t' -v base="$base" -v folder="$folder" \
            '{ print base "/" $2 "\t" folder "/" $2 }' "$piece" | fetch_many
        awk -F'\t' '$1 != "-" { print $1 "  " $2 }' "$piece" |
            { (cd "$folder" && md5sum --check --quiet --ignore-missing - 2>/dev/null) || true; } |
            sed -n 's/: FAILED$//p' | while IFS= read -r name; do
            say "$name: wrong checksum, removed"
            rm -f "${folder:?}/$name"
        done
        rm -f "$piece"
        say "$(find "$folder" -name '*.txt' | wc -l) of $(wc -l <"$list")"
    done
    missing=$(cut -f2 "$list" | while IFS= read -r name; do [ -e "$folder/$name" ] || echo; done | wc -l)
    [ "$missing" = 0 ] || die "$missing books are missing; start again to fetch them"
    rm -f "$list"
    say "$folder"
}

# The books may lie in any of PG-19's splits: each is asked for what is still missing.
fetch_pg19_mini() {
    local folder=$out/pg19-mini base=${LOCI_FETCH_BASE:-$bucket} from missing
    need curl
    fetch_file "$base/metadata.csv" "$folder/metadata-all.csv"
    for from in train validation test; do
        grep -v '^#' "$here/pg19-mini.txt" | awk -v base="$base/$from" -v folder="$folder" \
            '{ print base "/" $2 ".txt\t" folder "/" $1 "/" $2 ".txt" }' | fetch_many
    done
    missing=$(grep -v '^#' "$here/pg19-mini.txt" | while read -r split book; do
        [ -e "$folder/$split/$book.txt" ] || printf '%s ' "$book"
    done)
    [ -z "$missing" ] || die "books that could not be fetched: $missing; start again to fetch them"
    # Their rows of the metadata, in PG-19's order.
    awk -F, 'NR == FNR { if ($0 !~ /^#/) { split($0, f, " "); wanted[f[2]] = 1 } next } $1 in wanted' \
        "$here/pg19-mini.txt" "$folder/metadata-all.csv" >"$folder/metadata.csv"
    rm "$folder/metadata-all.csv"
    say "$folder"
}

what=
while [ $# -gt 0 ]; do
    case $1 in
    --out)
        [ $# -ge 2 ] || die "--out needs a folder"
        out=$2
        shift
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    -*) die "unknown option $1; see data/fetch.sh --help" ;;
    *)
        [ -z "$what" ] || die "one corpus at a time: $what or $1"
        what=$1
        ;;
    esac
    shift
done

case $what in
enwik8) fetch_zip enwik8 a1fa5ffddb56f4953e226637dabbb36a ;;
text8) fetch_zip text8 3bea1919949baf155f99411df5fada7e ;;
pg19) fetch_pg19 ;;
pg19-mini) fetch_pg19_mini ;;
'')
    usage >&2
    exit 2
    ;;
*)
    say "data/fetch.sh: unknown corpus $what; there are enwik8, text8, pg19, pg19-mini"
    exit 2
    ;;
esac
