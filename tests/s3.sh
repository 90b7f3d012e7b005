#!/usr/bin/env bash
# A real S3 server for as long as standard input stays open: one Ceph monitor, one OSD in a sparse file, one
# RADOS Gateway, all in the foreground of this script and gone with it.
#
#   tests/s3.sh DIR PORT BUCKET     credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment
#
# The gateway listens on S3_ADDRESS of the environment, 127.0.0.1 by default; monitor and OSD stay on loopback.
# Prints `ready` when the bucket is there. Ports PORT and PORT + 1 are used. Needs Debian's radosgw, ceph-mon, ceph-osd,
# curl and openssl, and installs them as root where they are missing.
set -euo pipefail
dir=$(realpath -m "$1") port=$2 bucket=$3 mon_port=$(($2 + 1)) address=${S3_ADDRESS:-127.0.0.1}
export CEPH_CONF=$dir/ceph.conf
: "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}"
say() { echo "s3.sh: $*" >&2; exit 1; }
uuid() { cat /proc/sys/kernel/random/uuid; }
wait_for() { local what=$1 n; shift; for ((n = 0; n < 300; n++)); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; say "$what did not come up in 60 s"; }

# One by one: asked for several, `command -v` is content with any of them.
missing() { local tool; for tool in radosgw ceph-mon ceph-osd curl openssl; do command -v "$tool" >/dev/null || return 0; done; return 1; }
if missing; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || say "needs radosgw, ceph-mon, ceph-osd, curl and openssl: install them, or run as root on Debian"
  (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd curl openssl) >/dev/null 2>&1 ||
    say "apt-get could not install radosgw ceph-mon ceph-osd curl openssl"
fi

mkdir -p "$dir/mon" "$dir/osd"
daemons=()
# Standard error closes first: the shell would report every daemon it sees killed.
finish() { exec 2>/dev/null; [ ${#daemons[@]} = 0 ] || kill -9 "${daemons[@]}" 2>/dev/null || true; rm -rf "$dir"; }
trap finish EXIT
trap 'exit 143' TERM INT HUP

fsid=$(uuid) osd=$(uuid)
cat > "$CEPH_CONF" <<CONF
[global]
fsid = $fsid
mon host = v2:127.0.0.1:$mon_port
public addr = 127.0.0.1
mon data = $dir/mon
osd data = $dir/osd
run dir = $dir
admin socket = $dir/\$name.asok
pid file =
log file = $dir/\$name.log
crash dir = $dir
keyring = $dir/keyring
mon data avail warn = 2
mon allow pool size one = true
mon max pg per osd = 1000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block size = 10737418240
osd memory target = 939524096
rgw frontends = beast endpoint=$address:$port
CONF
key=$dir/keyring
ceph-authtool --create-keyring "$key" --gen-key -n mon. --cap mon 'allow *' >/dev/null 2>&1
for name in client.admin client.rgw; do ceph-authtool "$key" --gen-key -n $name --cap mon 'allow *' --cap osd 'allow *'; done
ceph-authtool "$key" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon_port]" "$dir/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$dir/monmap" --keyring "$key"
ceph-mon -f -i a >"$dir/mon.out" 2>&1 & daemons+=($!)
wait_for "the monitor" ceph --connect-timeout 2 osd new "$osd"
ceph-osd -i 0 --mkfs --osd-uuid "$osd" >/dev/null 2>&1
ceph-osd -f -i 0 >"$dir/osd.out" 2>&1 & daemons+=($!)
wait_for "the OSD" bash -c 'ceph --connect-timeout 2 osd stat | grep -q "1 up"'
radosgw -f -n client.rgw >"$dir/rgw.out" 2>&1 & daemons+=($!)
wait_for "the gateway" curl -s -m 2 "http://$address:$port"
radosgw-admin -n client.rgw --admin-socket= user create --uid=test --display-name=test --access-key="$AWS_ACCESS_KEY_ID" --secret-key="$AWS_SECRET_ACCESS_KEY" >/dev/null 2>&1 || say "the user was not created"
# Signed by version 2: Debian 12's curl signs version 4 in a way that the gateway refuses.
make_bucket() {
  local date; date=$(date -uR)
  local signature; signature=$(printf 'PUT\n\n\n%s\n/%s' "$date" "$bucket" | openssl dgst -sha1 -hmac "$AWS_SECRET_ACCESS_KEY" -binary | base64)
  curl -sf -m 5 -X PUT -H "Date: $date" -H "Authorization: AWS $AWS_ACCESS_KEY_ID:$signature" "http://$address:$port/$bucket"
}
wait_for "the bucket" make_bucket
echo ready
cat >/dev/null
