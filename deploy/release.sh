#!/usr/bin/env bash
# Builds everything that a release consists of, into artifacts/release. docs/install.md says what each file is for.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: deploy/release.sh [--no-jit] [--no-bom]

Builds for linux-x64, into artifacts/release:

  penstock-linux-x64.tar.gz       the native program
  penstock-linux-x64-jit.tar.gz   the self-contained just-in-time build: larger, starts more slowly
  penstock_amd64.deb              Debian package of the native program
  penstock.cdx.json               CycloneDX bill of materials
  SHA256SUMS

It needs the .NET 10 SDK, git, and Debian's clang and zlib1g-dev. The native program runs with the C library of the
machine that built it or a later one; build on Debian 12 or older for a program that runs on all supported systems.

  --no-jit   leave out the just-in-time build
  --no-bom   leave out the bill of materials
TEXT
}

jit=1 bom=1
for argument in "$@"; do
    case $argument in
        --no-jit) jit=0 ;;
        --no-bom) bom=0 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

release=$PWD/artifacts/release
rm -rf "$release"
mkdir -p "$release"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

publish() { # FOLDER OPTION...
    local folder=$1
    shift
    dotnet publish src/Penstock -c Release -r linux-x64 -v quiet --nologo -o "$folder" "$@"
}

# The program, SQLite's library next to it, and what is installed with them: docs/install.md.
archive() { # NAME FOLDER
    local to=$work/$1
    install -D -m 0755 "$2/penstock" "$to/penstock"
    install -m 0644 "$2/libe_sqlite3.so" LICENSE CHANGELOG.md docs/configuration.md deploy/penstock.service "$to"
    install -m 0644 deploy/debian/penstock.yaml "$to/penstock.yaml"
    [ "$1" = penstock-linux-x64 ] ||
        sed -i '/^# For the native program only/d; s/^MemoryDenyWriteExecute=yes/MemoryDenyWriteExecute=no/' \
            "$to/penstock.service"
    deploy/notices.sh >"$to/THIRD-PARTY-NOTICES.txt"
    mkdir "$to/completions"
    "$to/penstock" man >"$to/penstock.1"
    local shell
    for shell in bash fish zsh; do
        "$to/penstock" completion $shell >"$to/completions/penstock.$shell"
    done
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$work" -c "$1" |
        gzip -9n >"$release/$1.tar.gz"
}

echo "building the native program"
publish "$PWD/artifacts/native"
archive penstock-linux-x64 artifacts/native

if [ $bom = 1 ]; then
    echo "writing the bill of materials"
    dotnet tool restore >/dev/null
    # --disable-package-restore: it reads what publishing has restored, in the folders that the build uses.
    dotnet CycloneDX src/Penstock/Penstock.csproj --exclude-dev --disable-package-restore \
        --base-intermediate-output-path "$PWD/artifacts/obj" --output-format Json --output "$release" \
        --filename penstock.cdx.json --set-name penstock \
        --set-version "$(artifacts/native/penstock version | cut -d' ' -f2)" >"$work/bom.log" ||
        { cat "$work/bom.log" >&2; exit 1; }
    # The tool lists packages only. The runtime and ASP.NET Core are compiled into the program, too.
    runtime=$(artifacts/native/penstock version | sed -n 's/.*\.NET \([0-9.]*\).*/\1/p')
    for framework in Microsoft.AspNetCore.App Microsoft.NETCore.App; do
        sed -i "0,/^  \"components\": \[/s//&\n    { \"type\": \"framework\", \"bom-ref\": \"$framework@$runtime\", \
\"name\": \"$framework\", \"version\": \"$runtime\", \"scope\": \"required\", \
\"licenses\": [{ \"license\": { \"id\": \"MIT\" } }] },/" "$release/penstock.cdx.json"
    done
    grep -q '"name": "Microsoft.NETCore.App"' "$release/penstock.cdx.json"
fi

echo "building the Debian package"
deploy/debian/build.sh artifacts/native "$release/penstock_amd64.deb" >/dev/null

if [ $jit = 1 ]; then
    echo "building the just-in-time program"
    # In a folder of its own, so that it does not mix with what the native build keeps.
    publish "$work/jit" --self-contained -p:PublishAot=false -p:PublishSingleFile=true \
        "-p:ArtifactsPath=$work/artifacts"
    archive penstock-linux-x64-jit "$work/jit"
fi

(cd "$release" && sha256sum -- penstock* >SHA256SUMS)
(cd "$release" && stat -c '%10s  %n' -- *)
