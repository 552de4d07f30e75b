#!/bin/bash
# What a bare Debian 12 box lacks for `make demo`; make installs the rest.  Runs as root.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

apt-get -qq update
apt-get -qq install --yes --no-install-recommends make git sudo ca-certificates
runuser -u vagrant -- make -C /home/vagrant/pcache install
runuser -u vagrant -- pcache doctor
