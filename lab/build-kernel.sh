#!/usr/bin/env bash
# Builds a small kernel for the laboratory from a source tree and patches.
#
#   build-kernel.sh --source DIR --out DIR [--patch FILE]... [--config FRAGMENT]... [--jobs N]
#
# --source  a kernel's source tree; it is not modified. Debian's:
#             apt-get install linux-source-6.1 && tar xf /usr/src/linux-source-6.1.tar.xz
# --out     a folder of its own: OUT/source is a copy of the tree (hard links where that goes),
#           OUT/build what make makes, OUT/bzImage the kernel. A second run there with other
#           patches takes the first run's patches out, puts its own in, and compiles only what
#           changed.
# --patch   a patch to apply with -p1; given twice, both are applied, in that order
# --config  more options, on top of allnoconfig and kernel.config beside this script
# --jobs    how many compilers run side by side [default: as many as there are processors]
#
# The kernel has everything built in: `refolio lab --kernel OUT/bzImage`.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
refuse() { printf 'build-kernel: %s\n' "$*" >&2; exit 2; }

source='' out='' jobs=$(nproc) patches=() configs=("$here/kernel.config")
while [ $# -gt 0 ]; do
  [ $# -gt 1 ] || refuse "$1 wants a value"
  case $1 in
    --source) source=$2 ;;
    --out) out=$2 ;;
    --patch) patches+=("$(realpath -m "$2")") ;;
    --config) configs+=("$(realpath -m "$2")") ;;
    --jobs) jobs=$2 ;;
    *) refuse "$1 is unknown; see the head of $0" ;;
  esac
  shift 2
done
[ -n "$source" ] || refuse '--source DIR is missing: the tree of a kernel'
[ -n "$out" ] || refuse '--out DIR is missing: where to build'
[ -f "$source/mm/migrate.c" ] || refuse "$source: no source tree of a kernel (no mm/migrate.c)"
[ ! -f "$source/.config" ] || refuse "$source: something was built in it: run make mrproper there"
for file in "${patches[@]}" "${configs[@]}"; do [ -r "$file" ] || refuse "$file: cannot be read"; done

missing=''
for pair in make:make gcc:gcc flex:flex bison:bison bc:bc patch:patch perl:perl; do
  command -v "${pair%:*}" >/dev/null || missing+=" ${pair#*:}"
done
echo '#include <libelf.h>' | gcc -E - >/dev/null 2>&1 || missing+=' libelf-dev'
[ -z "$missing" ] || refuse "tools are missing: apt-get install$missing"

mkdir -p "$out/build"
out=$(cd "$out" && pwd)
if [ ! -e "$out/source" ]; then
  echo "copying $source"
  # Hard links cost nothing, and patch writes new files instead of changing old ones.
  cp -al "$source" "$out/source.new" 2>/dev/null || cp -a "$source" "$out/source.new" ||
    refuse "$out: no space for a copy of the tree"
  mv "$out/source.new" "$out/source"
fi

# Whatever an earlier run has put in goes out, the last first.
applied=$out/applied
mkdir -p "$applied"
for old in $(find "$applied" -name '*.patch' | sort -r); do
  patch -d "$out/source" -p1 -R -s -f < "$old" >/dev/null ||
    refuse "$out: a patch of an earlier run does not come out: remove the folder, and begin again"
  rm "$old"
done
number=0
for file in "${patches[@]}"; do
  patch -d "$out/source" -p1 -s -f --dry-run < "$file" >"$out/patch.log" ||
    refuse "$file does not apply to $source: $(head -n 1 "$out/patch.log")"
  cp "$file" "$(printf '%s/%03d.patch' "$applied" "$number")"
  patch -d "$out/source" -p1 -s -f < "$file"
  number=$((number + 1))
done

run() { make -C "$out/source" O="$out/build" -j"$jobs" "$@" >"$out/build.log" 2>&1; }
failed() {
  refuse "the build fails: $(grep -m1 -E '(error|Error|ERROR)' "$out/build.log"); see $out/build.log"
}
wanted=$(cat "${configs[@]}" | sha256sum)
if [ "$(cat "$out/configured" 2>/dev/null)" != "$wanted" ]; then
  run allnoconfig || failed
  (cd "$out/build" && "$out/source/scripts/kconfig/merge_config.sh" -m -O "$out/build" \
    "$out/build/.config" "${configs[@]}" >"$out/config.log" 2>&1) || refuse "see $out/config.log"
  run olddefconfig || failed
  printf '%s\n' "$wanted" >"$out/configured"
  for option in $(cat "${configs[@]}" | grep -oE '^CONFIG_[A-Z0-9_]+=y' || true); do
    grep -qx "$option" "$out/build/.config" || echo "this tree does not take $option"
  done
fi
echo "compiling (the first time takes long; $out/build.log tells how far it is)"
run bzImage || failed
cp "$out/build/arch/x86/boot/bzImage" "$out/bzImage"
echo "$out/bzImage"
