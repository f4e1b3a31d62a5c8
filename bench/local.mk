# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The measurements. The program stands in EXTRA_PROGRAMS: bench/run builds it when it
# wants it, "make" and "make check" do not. bench/run also says which peers are there;
# those that are not are left out.

EXTRA_PROGRAMS += bench/evr-bench bench/evr-bench-life bench/evr-bench-recovery

bench_evr_bench_life_SOURCES = bench/life.c
bench_evr_bench_life_LDADD = $(evr_lib)

bench_evr_bench_recovery_SOURCES = bench/recovery.c
bench_evr_bench_recovery_LDADD = $(evr_lib)

bench_evr_bench_SOURCES = \
	bench/alloc.c \
	bench/bench.h \
	bench/boost.cpp \
	bench/bounce.c \
	bench/channel.c \
	bench/ck.c \
	bench/floors.c \
	bench/inline.c \
	bench/lanes.c \
	bench/main.c \
	bench/message.c \
	bench/message_burst.c \
	bench/message_no_intent_clear.c \
	bench/moodycamel.cpp \
	bench/peer.h \
	bench/readerwriter.cpp \
	bench/region.c \
	bench/region.h \
	bench/report.c \
	bench/ring.c \
	bench/ring_burst.c \
	bench/ring_block.c \
	bench/ring_no_intent_clear.c \
	bench/ring_no_mark.c \
	bench/ring_team.c \
	bench/rte.c \
	bench/rte_block.c \
	bench/sides.c \
	bench/tbb.cpp \
	bench/urcu.c

# Set on make's command line by bench/run: -DEVR_BENCH_NAME for each peer that is there,
# where its headers are, and what to link with.
EVR_BENCH_PEERS_CPPFLAGS =
EVR_BENCH_PEERS_LIBS =

bench_evr_bench_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir) $(EVR_BENCH_PEERS_CPPFLAGS)
bench_evr_bench_LDADD = $(evr_lib) $(EVR_BENCH_PEERS_LIBS)

# A subject that is a pair of processes says nothing about teams and threads. The peers in
# C++ are built as their authors measure them, but for -march.
bench_evr_bench_CFLAGS = $(AM_CFLAGS) -Wno-missing-field-initializers
bench_evr_bench_CXXFLAGS = $(AM_CXXFLAGS) -O3 -DNDEBUG -Wno-missing-field-initializers

# Variants: our ring with something left out, to see what that costs. Each is a copy of
# the header with one line changed. A copy that does not differ would be ours itself.
ring_h = $(top_srcdir)/include/evering/ring.h
make_variant = >$@.tmp && ! cmp -s $(ring_h) $@.tmp && mv $@.tmp $@
take_unmarked = (void)block, *ret_word = owned, 0
bench_variants = bench/ring_no_mark.h bench/ring_no_intent_clear.h
CLEANFILES += $(bench_variants)

bench/ring_no_mark.h: $(ring_h) bench/$(am__dirstamp)
	$(AM_V_GEN)sed 's/error = evri_ring_mark(.*);/error = ($(take_unmarked));/' \
		$(ring_h) $(make_variant)

bench/ring_no_intent_clear.h: $(ring_h) bench/$(am__dirstamp)
	$(AM_V_GEN)sed '/evr_store_release_u64(intent, 0);/d' \
		$(ring_h) $(make_variant)

bench/evr_bench-ring_no_mark.$(OBJEXT): bench/ring_no_mark.h
bench/evr_bench-ring_no_intent_clear.$(OBJEXT): bench/ring_no_intent_clear.h
bench/evr_bench-message_no_intent_clear.$(OBJEXT): bench/ring_no_intent_clear.h

EXTRA_DIST += bench/run bench/zstd.sh bench/table.awk bench/wanted.txt bench/README.md
