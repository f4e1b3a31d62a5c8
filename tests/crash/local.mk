# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The crash harness: one program, tests/crash/crash, which the groups "crash" and
# "mutants" of ./check run. It links with $(evr_core).
