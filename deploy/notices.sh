#!/usr/bin/env bash
# Writes the copyright notices and licences of everything that the built program contains to standard output. Their
# licences ask for that. It reads what "dotnet publish src/Penstock" has restored. deploy/release.sh calls it.
set -euo pipefail
cd "$(dirname "$0")/.."

assets=artifacts/obj/Penstock/project.assets.json
[ -f $assets ] || { echo "there is no $assets: publish src/Penstock first" >&2; exit 1; }
packages=$(sed -n '/"packageFolders"/{n;s/^ *"\(.*\)": {}.*/\1/p;q}' $assets)
sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")

title() { printf '\n\n%s\n%s\n\n' "$1" "${1//?/=}"; }
plain() { sed 's/^\xef\xbb\xbf//; s/\r$//' "$1"; }
element() { # NAME NUSPEC
    sed -n "s:.*<$1\( [^>]*\)*>\(.*\)</$1>.*:\2:p" "$2" | head -n 1
}

echo "Penstock contains the following works of others."
title ".NET runtime and ASP.NET Core, https://github.com/dotnet/dotnet"
plain "$sdk/LICENSE.txt"
echo
plain "$sdk/ThirdPartyNotices.txt"

expressions=()
while read -r path; do
    nuspec=$(echo "$packages$path"/*.nuspec)
    ! grep -q '<developmentDependency>true' "$nuspec" || continue # it only helps to build
    [[ $path != *illink.tasks* ]] || continue
    title "$(element id "$nuspec") $(element version "$nuspec"), $(element projectUrl "$nuspec")"
    element copyright "$nuspec"
    if grep -q '<license type="expression"' "$nuspec"; then
        expression=$(element license "$nuspec")
        echo "Licence: $expression, see the end of this file"
        expressions+=("$expression")
    fi
    find "$packages$path" -maxdepth 1 -type f \( -iname '*licen[sc]e*' -o -iname '*notice*' \) | LC_ALL=C sort |
        while read -r file; do
            echo
            plain "$file"
        done
done < <(sed -n 's/^ *"path": "\([^.].*\)",\{0,1\}$/\1/p' $assets | LC_ALL=C sort)

while read -r expression; do
    title "$expression"
    case $expression in
        MIT) sed 1,4d LICENSE ;;
        Apache-2.0) plain "$(find "$packages"opentelemetry/ -iname 'license*' | LC_ALL=C sort | tail -n 1)" ;;
        PostgreSQL)
            cat <<'TEXT'
Permission to use, copy, modify, and distribute this software and its documentation for any purpose, without fee, and
without a written agreement is hereby granted, provided that the above copyright notice and this paragraph and the
following two paragraphs appear in all copies.

IN NO EVENT SHALL THE COPYRIGHT HOLDER BE LIABLE TO ANY PARTY FOR DIRECT, INDIRECT, SPECIAL, INCIDENTAL, OR
CONSEQUENTIAL DAMAGES, INCLUDING LOST PROFITS, ARISING OUT OF THE USE OF THIS SOFTWARE AND ITS DOCUMENTATION, EVEN IF
THE COPYRIGHT HOLDER HAS BEEN ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.

THE COPYRIGHT HOLDER SPECIFICALLY DISCLAIMS ANY WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF
MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE. THE SOFTWARE PROVIDED HEREUNDER IS ON AN "AS IS" BASIS, AND THE
COPYRIGHT HOLDER HAS NO OBLIGATIONS TO PROVIDE MAINTENANCE, SUPPORT, UPDATES, ENHANCEMENTS, OR MODIFICATIONS.
TEXT
            ;;
        *)
            echo "no text is known of the licence $expression: add it to deploy/notices.sh" >&2
            exit 1
            ;;
    esac
done < <(printf '%s\n' "${expressions[@]}" | LC_ALL=C sort -u)
