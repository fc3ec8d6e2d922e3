#!/usr/bin/env bash
# Makes the Debian package from a native program that is built already. deploy/release.sh calls it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: deploy/debian/build.sh FOLDER PACKAGE [VERSION]

  FOLDER    what "dotnet publish src/Penstock -c Release -r linux-x64 -o FOLDER" has made
  PACKAGE   the file to write, such as penstock_amd64.deb
  VERSION   default: the version of Directory.Build.props; before its tag exists also the time and name of the commit,
            so that a package of a later commit is an upgrade

The maintainer is $DEBFULLNAME <$DEBEMAIL> if both are set.
TEXT
}

[ $# = 2 ] || [ $# = 3 ] || { usage >&2; exit 2; }
program=$(realpath "$1") package=$(realpath -m "$2")
cd "$(dirname "$0")/../.."
here=deploy/debian

for file in penstock libe_sqlite3.so; do
    [ -f "$program/$file" ] || { echo "there is no $program/$file" >&2; exit 2; }
done

in_git() { git rev-parse --git-dir >/dev/null 2>&1; }

default_version() {
    local number
    number=$(sed -n 's:.*<Version>\(.*\)</Version>.*:\1:p' Directory.Build.props)
    if ! in_git || [ "$(git describe --tags --exact-match 2>/dev/null)" = "v$number" ]; then
        echo "$number"
    else
        echo "$number~$(TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format=%cd.%h)"
    fi
}

version=${3:-$(default_version)}
maintainer="${DEBFULLNAME:-The Penstock authors} <${DEBEMAIL:-authors@penstock.invalid}>"
# The same sources make the same package.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    if in_git; then
        SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    else
        SOURCE_DATE_EPOCH=$(stat -c %Y Directory.Build.props)
    fi
fi
export SOURCE_DATE_EPOCH

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"

put() { # MODE FILE PATH
    install -D -m "$1" "$2" "$root/$3"
}
write() { # PATH, with the content from stdin
    install -D -m 0644 /dev/stdin "$root/$1"
}
compressed() { # PATH, with the content from stdin
    gzip -9n | write "$1"
}

put 0755 "$program/penstock" usr/lib/penstock/penstock
put 0644 "$program/libe_sqlite3.so" usr/lib/penstock/libe_sqlite3.so # the program looks for it next to itself
strip --strip-unneeded --remove-section=.comment "$root/usr/lib/penstock/libe_sqlite3.so"
mkdir -p "$root/usr/bin"
ln -s ../lib/penstock/penstock "$root/usr/bin/penstock"

put 0644 $here/penstock.yaml etc/penstock/penstock.yaml
put 0644 $here/logrotate etc/logrotate.d/penstock
put 0644 deploy/penstock.service lib/systemd/system/penstock.service

"$program/penstock" man | compressed usr/share/man/man1/penstock.1.gz
"$program/penstock" completion bash | write usr/share/bash-completion/completions/penstock
"$program/penstock" completion zsh | write usr/share/zsh/vendor-completions/_penstock
"$program/penstock" completion fish | write usr/share/fish/vendor_completions.d/penstock.fish

doc=usr/share/doc/penstock
put 0644 $here/copyright $doc/copyright
put 0644 docs/configuration.md $doc/configuration.md
deploy/notices.sh | compressed $doc/THIRD-PARTY-NOTICES.gz
compressed $doc/changelog.gz <CHANGELOG.md
compressed $doc/changelog.Debian.gz <<TEXT
penstock ($version) unstable; urgency=medium

  * What has changed is in changelog.gz.

 -- $maintainer  $(TZ=UTC date -R -d "@$SOURCE_DATE_EPOCH")
TEXT
put 0644 $here/lintian-overrides usr/share/lintian/overrides/penstock

for script in postinst prerm postrm; do
    put 0755 $here/$script DEBIAN/$script
done
(cd "$root" && find etc -type f -printf '/%p\n' | sort) | write DEBIAN/conffiles
(cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\n' | sort | xargs md5sum) | write DEBIAN/md5sums
sed -e "s/@VERSION@/$version/" -e "s/@MAINTAINER@/$maintainer/" \
    -e "s/@ARCHITECTURE@/$(dpkg --print-architecture)/" \
    -e "s/@SIZE@/$(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)/" $here/control | write DEBIAN/control

find "$root" -type d -exec chmod 0755 {} +
mkdir -p "$(dirname "$package")"
dpkg-deb --root-owner-group -Zxz -z2 --build "$root" "$package" >/dev/null
echo "$package: penstock $version"
