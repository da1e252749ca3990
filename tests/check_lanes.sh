#!/usr/bin/env bash
# Files compiled for one instruction set must not offer functions that other files may use in place of their own: the linker keeps one
# copy of an inline function, and a processor without that instruction set would stop at it. Templates on the vector type are each
# set's own.
set -euo pipefail
[ $# -gt 0 ] || { printf 'usage: %s OBJECT...\n' "$0" >&2; exit 2; }
status=0
for object; do
    shared=$(nm --demangle "$object" | grep -E ' [WVu] ' | grep -v -E '_VecBuiltin|_VecBltnBtmsk|DW\.ref\.__gxx_personality' || true)
    if [ -n "$shared" ]; then
        printf '%s: shared inline functions were not inlined:\n%s\n' "$object" "$shared" >&2
        status=1
    fi
done
exit $status
