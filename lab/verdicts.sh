#!/usr/bin/env bash
# Builds every kernel of lab/forms and lab/wrong, runs the suite's quick profile on each and on the
# unmodified kernel, and writes the page of who caught what.
#
#   lab/verdicts.sh --source DIR --out DIR [--refolio FILE] [--table FILE] [NAME]...
#
# --source   a kernel's source tree, as for build-kernel.sh; the patches are for Debian's
#            linux-source-6.1
# --out      a folder for kernels and verdicts: about 4 GiB
# --refolio  the program [default: target/release/refolio of this checkout]
# --table    where the page goes [default: docs/wrong-kernels.md of this checkout]; what it says of
#            kernels that were not run stays. Words about the runs belong into wrong-kernels.head.md
# NAME       only these kernels, by the name of their patch, and the unmodified one, with which they
#            are compared
#
# What has been built in --out is not built again, and a verdict that is there is not reached again:
# remove OUT/kernels/NAME or OUT/verdicts/NAME.json for that. Twenty-five kernels take about one
# hour on two cores, and the first build half an hour more.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
refuse() { printf 'verdicts: %s\n' "$*" >&2; exit 2; }

source='' out='' only=()
refolio=$here/../target/release/refolio table=$here/../docs/wrong-kernels.md
while [ $# -gt 0 ]; do
  case $1 in
    --source | --out | --refolio | --table)
      [ $# -gt 1 ] || refuse "$1 wants a value"
      printf -v "${1#--}" '%s' "$2"
      shift 2
      ;;
    --*) refuse "$1 is unknown; see the head of $0" ;;
    *) only+=("$1") && shift ;;
  esac
done
[ -n "$source" ] || refuse '--source DIR is missing: the tree of a kernel'
[ -n "$out" ] || refuse '--out DIR is missing'
[ -x "$refolio" ] || refuse "$refolio is missing: cargo build --release"
command -v python3 >/dev/null || refuse 'python3 is missing: apt-get install python3'
mkdir -p "$out/kernels" "$out/verdicts"

patch_of() {
  for folder in forms wrong; do
    [ ! -f "$here/$folder/$1.patch" ] || printf '%s\n' "$here/$folder/$1.patch"
  done
}

names=(unmodified)
for patch in "$here"/wrong/*.patch "$here"/forms/*.patch; do
  names+=("$(basename "$patch" .patch)")
done
[ ${#only[@]} = 0 ] || names=(unmodified "${only[@]}")

for name in "${names[@]}"; do
  patch=$(patch_of "$name")
  [ -n "$patch" ] || [ "$name" = unmodified ] || refuse "$name: there is no such patch"
  kernel=$out/kernels/$name
  if [ ! -f "$kernel" ]; then
    "$here/build-kernel.sh" --source "$source" --out "$out/build" ${patch:+--patch "$patch"}
    cp "$out/build/bzImage" "$kernel"
  fi
  verdict=$out/verdicts/$name
  [ ! -s "$verdict.json" ] || continue
  printf '%s: ' "$name"
  code=0
  "$refolio" lab --kernel "$kernel" --profile quick --seed 1 --json "$verdict.json" \
    --log "$verdict.klog" >"$verdict.txt" 2>&1 || code=$?
  if grep -q 'stopped by Ctrl-C' "$verdict.txt"; then
    rm -f "$verdict.json"
    refuse "stopped in $name; run it again to go on"
  fi
  # A kernel that came to no verdict, and the program's own words for that.
  [ -s "$verdict.json" ] || { rm -f "$verdict.json" && tail -n 1 "$verdict.txt"; }
  printf '%s\n' "$code" >"$verdict.code"
  tail -n 200 "$verdict.txt" | grep -E ' cases in ' || echo "no count (exit code $code)"
done
python3 "$here/table.py" "$here" "$out/verdicts" "$table" >"$table.new"
mv "$table.new" "$table"
echo "$table"
