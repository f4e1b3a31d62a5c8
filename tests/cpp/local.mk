# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Tests of the C++ face, with Boost.Test: tests/cpp/test_NAME.cpp. The group "cpp" of
# ./check runs every program here whose name begins with test_. The lines of one:
#
#	tests/cpp/test_channel in cpp_programs, and
#	tests_cpp_test_channel_SOURCES = tests/cpp/test_channel.cpp
#	tests_cpp_test_channel_CPPFLAGS = $(cpp_test_cppflags)
#	tests_cpp_test_channel_LDADD = $(cpp_test_ldadd)

cpp_test_cppflags = $(AM_CPPFLAGS) $(BOOST_TEST_CPPFLAGS)
cpp_test_ldadd = $(evr_lib) $(BOOST_TEST_LIBS)

if HAVE_BOOST_TEST
cpp_programs = \
	tests/cpp/test_cpu \
	tests/cpp/test_error \
	tests/cpp/test_message \
	tests/cpp/test_region \
	tests/cpp/test_meet \
	tests/cpp/test_named \
	tests/cpp/test_region_pages \
	tests/cpp/test_pool \
	tests/cpp/test_box \
	tests/cpp/test_ring \
	tests/cpp/test_uring \
	tests/cpp/test_request \
	tests/cpp/test_ring_inline \
	tests/cpp/test_ring_lanes \
	tests/cpp/test_channel \
	tests/cpp/test_janitor \
	tests/cpp/test_processes
check_PROGRAMS += $(cpp_programs)

tests_cpp_test_cpu_SOURCES = tests/cpp/test_cpu.cpp tests/cpp/fixture.hpp
tests_cpp_test_cpu_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_cpu_LDADD = $(cpp_test_ldadd)

tests_cpp_test_error_SOURCES = tests/cpp/test_error.cpp tests/cpp/fixture.hpp
tests_cpp_test_error_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_error_LDADD = $(cpp_test_ldadd)

tests_cpp_test_message_SOURCES = tests/cpp/test_message.cpp tests/cpp/fixture.hpp
tests_cpp_test_message_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_message_LDADD = $(cpp_test_ldadd)

tests_cpp_test_region_SOURCES = tests/cpp/test_region.cpp tests/cpp/fixture.hpp
tests_cpp_test_region_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_region_LDADD = $(cpp_test_ldadd)

tests_cpp_test_meet_SOURCES = tests/cpp/test_meet.cpp tests/cpp/fixture.hpp
tests_cpp_test_meet_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_meet_LDADD = $(cpp_test_ldadd)

tests_cpp_test_named_SOURCES = tests/cpp/test_named.cpp tests/cpp/fixture.hpp
tests_cpp_test_named_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_named_LDADD = $(cpp_test_ldadd)

tests_cpp_test_region_pages_SOURCES = tests/cpp/test_region_pages.cpp \
	tests/cpp/fixture.hpp
tests_cpp_test_region_pages_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_region_pages_LDADD = $(cpp_test_ldadd)

tests_cpp_test_pool_SOURCES = tests/cpp/test_pool.cpp tests/cpp/fixture.hpp
tests_cpp_test_pool_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_pool_LDADD = $(cpp_test_ldadd)

tests_cpp_test_box_SOURCES = tests/cpp/test_box.cpp tests/cpp/fixture.hpp
tests_cpp_test_box_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_box_LDADD = $(cpp_test_ldadd)

tests_cpp_test_ring_SOURCES = tests/cpp/test_ring.cpp tests/cpp/fixture.hpp
tests_cpp_test_ring_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_ring_LDADD = $(cpp_test_ldadd)

tests_cpp_test_uring_SOURCES = tests/cpp/test_uring.cpp tests/cpp/fixture.hpp
tests_cpp_test_uring_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_uring_LDADD = $(cpp_test_ldadd)

tests_cpp_test_request_SOURCES = tests/cpp/test_request.cpp tests/cpp/fixture.hpp \
	tests/cpp/messages.hpp
tests_cpp_test_request_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_request_LDADD = $(cpp_test_ldadd)

tests_cpp_test_ring_inline_SOURCES = tests/cpp/test_ring_inline.cpp \
	tests/cpp/fixture.hpp
tests_cpp_test_ring_inline_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_ring_inline_LDADD = $(cpp_test_ldadd)

tests_cpp_test_ring_lanes_SOURCES = tests/cpp/test_ring_lanes.cpp \
	tests/cpp/fixture.hpp
tests_cpp_test_ring_lanes_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_ring_lanes_LDADD = $(cpp_test_ldadd)

tests_cpp_test_channel_SOURCES = tests/cpp/test_channel.cpp tests/cpp/fixture.hpp \
	tests/cpp/messages.hpp
tests_cpp_test_channel_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_channel_LDADD = $(cpp_test_ldadd)

tests_cpp_test_janitor_SOURCES = tests/cpp/test_janitor.cpp tests/cpp/fixture.hpp
tests_cpp_test_janitor_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_janitor_LDADD = $(cpp_test_ldadd)

tests_cpp_test_processes_SOURCES = tests/cpp/test_processes.cpp tests/cpp/fixture.hpp \
	tests/cpp/messages.hpp
tests_cpp_test_processes_CPPFLAGS = $(cpp_test_cppflags)
tests_cpp_test_processes_LDADD = $(cpp_test_ldadd)
endif
