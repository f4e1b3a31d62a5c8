# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The tools: what is installed stands in bin_PROGRAMS, what only serves this tree in
# noinst_PROGRAMS. The lines of a tool:
#
#	bin_PROGRAMS += tools/evr-peer
#	tools_evr_peer_SOURCES = tools/evr_peer.c
#	tools_evr_peer_LDADD = $(evr_lib)
#
# Their tests are scripts in tests/tools/.

bin_PROGRAMS += tools/evr-peer
tools_evr_peer_SOURCES = \
	tools/evr_peer.c \
	tools/evr_peer.h \
	tools/evr_peer_meet.c \
	tools/evr_peer_options.c \
	tools/evr_peer_roles.c
tools_evr_peer_LDADD = $(evr_lib)
