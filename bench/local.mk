# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The measurements. The program stands in EXTRA_PROGRAMS: bench/run builds it when it
# wants it, "make" and "make check" do not. bench/run also says where DPDK is; without
# it, the peer is left out.

EXTRA_PROGRAMS += bench/evr-bench bench/evr-bench-life bench/evr-bench-recovery

bench_evr_bench_life_SOURCES = bench/life.c
bench_evr_bench_life_LDADD = $(evr_lib)

bench_evr_bench_recovery_SOURCES = bench/recovery.c
bench_evr_bench_recovery_LDADD = $(evr_lib)

bench_evr_bench_SOURCES = \
	bench/alloc.c \
	bench/bench.h \
	bench/bounce.c \
	bench/channel.c \
	bench/main.c \
	bench/message.c \
	bench/message_no_intent_clear.c \
	bench/pair.c \
	bench/region.c \
	bench/region.h \
	bench/report.c \
	bench/ring.c \
	bench/ring_no_intent_clear.c \
	bench/ring_no_mark.c \
	bench/rte.c

# Set on make's command line by bench/run.
EVR_BENCH_RTE_CPPFLAGS =
EVR_BENCH_RTE_LIBS =

bench_evr_bench_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir) $(EVR_BENCH_RTE_CPPFLAGS)
bench_evr_bench_LDADD = $(evr_lib) $(EVR_BENCH_RTE_LIBS)

# Variants: our ring with something left out, to see what that costs. Each is a copy of
# the header with one line changed. A copy that does not differ would be ours itself.
ring_h = $(top_srcdir)/include/evering/ring.h
make_variant = >$@.tmp && ! cmp -s $(ring_h) $@.tmp && mv $@.tmp $@
take_unmarked = *ret_index = (uint32_t)(wire >> EVR_TOKEN_GENERATION_BITS), \
	*ret_word = owned, 0
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

EXTRA_DIST += bench/run bench/zstd.sh bench/README.md
