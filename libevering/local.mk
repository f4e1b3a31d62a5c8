# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The library: its sources in the order of the rooms (docs/ARCHITECTURE.md), the public
# headers, the symbol map.

lib_LTLIBRARIES += libevering.la
noinst_LTLIBRARIES += libevering-core.la

# EVERING-SOURCES-BEGIN
libevering_core_la_SOURCES = \
	libevering/error.c \
	libevering/number_set.c \
	libevering/options.c \
	libevering/version.c \
	libevering/os_memory.c \
	libevering/os_populate.c \
	libevering/os_limits.c \
	libevering/os_futex.c \
	libevering/text.c \
	libevering/os_mortal.c \
	libevering/os_liveness.c \
	libevering/os_fork.c \
	libevering/os_socket.c \
	libevering/os_message.c \
	libevering/os_poller.c \
	libevering/os_place.c \
	libevering/os_process.c \
	libevering/os_cpu.c \
	libevering/doorbell.c \
	libevering/cpu.c \
	libevering/region.c \
	libevering/region_ranges.c \
	libevering/region_pages.c \
	libevering/region_send.c \
	libevering/directory.c \
	libevering/participant.c \
	libevering/meet_frame.c \
	libevering/meet_policy.c \
	libevering/meet_place.c \
	libevering/meet_listen.c \
	libevering/meet_accept.c \
	libevering/meet_serve.c \
	libevering/meet_connect.c \
	libevering/meet_name.c \
	libevering/meet_stand.c \
	libevering/meet_named.c \
	libevering/pool.c \
	libevering/pool_view.c \
	libevering/pool_bulk.c \
	libevering/pool_node.c \
	libevering/pool_hardened.c \
	libevering/pool_retire.c \
	libevering/magazine.c \
	libevering/ring.c \
	libevering/ring_burst.c \
	libevering/ring_inline.c \
	libevering/ring_lanes.c \
	libevering/ring_role.c \
	libevering/ring_walk.c \
	libevering/home.c \
	libevering/recovery.c \
	libevering/recovery_steps.c \
	libevering/uring.c \
	libevering/answer.c \
	libevering/watch.c \
	libevering/janitor.c \
	libevering/channel.c \
	libevering/channel_wait.c \
	libevering/pool_stats.c \
	libevering/dump_gather.c \
	libevering/dump.c \
	libevering/report.c \
	libevering/abi.c \
	libevering/answer.h \
	libevering/channel_internal.h \
	libevering/dump_internal.h \
	libevering/home.h \
	libevering/internal_error.h \
	libevering/meet_internal.h \
	libevering/meet_named.h \
	libevering/options.h \
	libevering/os.h \
	libevering/os_errno.h \
	libevering/pool_internal.h \
	libevering/recovery_internal.h \
	libevering/region_internal.h \
	libevering/ring_inline_internal.h \
	libevering/ring_internal.h \
	libevering/text.h \
	libevering/uring_internal.h \
	libevering/watch.h
# EVERING-SOURCES-END
libevering_core_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden
# Empty, not AM_LDFLAGS: -static would leave the shared library without position
# independent objects to take.
libevering_core_la_LDFLAGS =
libevering_core_la_LIBADD = $(NUMA_LIBS)

# The two libraries are the core and nothing else.
libevering_la_SOURCES =
libevering_la_LIBADD = libevering-core.la
libevering_la_LDFLAGS = -version-info 0:0:0 -no-undefined $(EVR_SANITIZER_FLAGS) \
	-Wl,--version-script=$(top_srcdir)/libevering/libevering.map
EXTRA_libevering_la_DEPENDENCIES = libevering/libevering.map
EXTRA_DIST += libevering/libevering.map

everingincludedir = $(includedir)/evering
# EVERING-HEADERS-BEGIN
everinginclude_HEADERS = \
	include/evering/atomic.h \
	include/evering/backoff.h \
	include/evering/base.h \
	include/evering/block.h \
	include/evering/channel.h \
	include/evering/cpu.h \
	include/evering/doorbell.h \
	include/evering/dump.h \
	include/evering/error.h \
	include/evering/evering.h \
	include/evering/home.h \
	include/evering/janitor.h \
	include/evering/meet.h \
	include/evering/named.h \
	include/evering/number_set.h \
	include/evering/participant.h \
	include/evering/pool.h \
	include/evering/pool_bulk.h \
	include/evering/pool_extent.h \
	include/evering/pool_node.h \
	include/evering/pool_stats.h \
	include/evering/recovery.h \
	include/evering/region.h \
	include/evering/report.h \
	include/evering/ring.h \
	include/evering/ring_burst.h \
	include/evering/ring_cell.h \
	include/evering/ring_inline.h \
	include/evering/ring_lanes.h \
	include/evering/ring_end.h \
	include/evering/ring_role.h \
	include/evering/ring_slot.h \
	include/evering/token.h \
	include/evering/uring.h \
	include/evering/version.h
# EVERING-HEADERS-END
