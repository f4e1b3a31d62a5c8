# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="the C++ face (Boost.Test)"
budget=90
quick_budget=40
packages="libboost-test-dev"

run_group() {
	run_programs run_boost 60 tests/cpp/test_ HAVE_BOOST_TEST libboost-test-dev
}
