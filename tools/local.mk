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
	tools/evr_peer_pages.c \
	tools/evr_peer_roles.c
tools_evr_peer_LDADD = $(evr_lib)

# evering-pin does not link the library, only takes its version. hwloc is its own affair.
if HAVE_PIN
bin_PROGRAMS += tools/evering-pin
tools_evering_pin_SOURCES = \
	tools/pin/apply.cpp \
	tools/pin/apply.hpp \
	tools/pin/failure.hpp \
	tools/pin/kernel.cpp \
	tools/pin/kernel.hpp \
	tools/pin/lists.cpp \
	tools/pin/lists.hpp \
	tools/pin/machine.cpp \
	tools/pin/machine.hpp \
	tools/pin/main.cpp \
	tools/pin/numbers.hpp \
	tools/pin/options.cpp \
	tools/pin/options.hpp \
	tools/pin/plan.cpp \
	tools/pin/plan.hpp \
	tools/pin/report.cpp \
	tools/pin/report.hpp \
	tools/pin/strategies.cpp \
	tools/pin/strategies.hpp
tools_evering_pin_CXXFLAGS = $(AM_CXXFLAGS) $(HWLOC_CFLAGS)
tools_evering_pin_LDADD = $(HWLOC_LIBS) $(NUMA_LIBS)
endif

completionsdir = $(datadir)/bash-completion/completions
dist_completions_DATA = tools/completions/evr-peer
if HAVE_PIN
dist_completions_DATA += tools/completions/evering-pin
endif
