# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Tests of the C++ face, with Boost.Test: tests/cpp/test_NAME.cpp. The group "cpp" of
# ./check runs every program here whose name begins with test_. The lines of one:
#
#	check_PROGRAMS += tests/cpp/test_channel
#	tests_cpp_test_channel_SOURCES = tests/cpp/test_channel.cpp
#	tests_cpp_test_channel_CPPFLAGS = $(cpp_test_cppflags)
#	tests_cpp_test_channel_LDADD = $(cpp_test_ldadd)

cpp_test_cppflags = $(AM_CPPFLAGS) $(BOOST_TEST_CPPFLAGS)
cpp_test_ldadd = $(evr_lib) $(BOOST_TEST_LIBS)

if HAVE_BOOST_TEST
check_PROGRAMS +=
endif
