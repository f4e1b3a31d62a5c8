#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Runs the body of one group. ./check starts it, with its time budget and its variables.

set -u
# shellcheck source=setup.sh
. "$EVR_TOP/tests/lib/setup.sh"
# shellcheck source=groups.sh
. "$EVR_TOP/tests/lib/groups.sh"
export EVR_GROUP=$1
trap end_group TERM
# shellcheck source=/dev/null
. "$EVR_TOP/tests/groups/$1.sh"
run_group
