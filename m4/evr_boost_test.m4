# SPDX-License-Identifier: Apache-2.0 OR MIT

# EVR_CHECK_BOOST_TEST(IF-YES, IF-NO)
# Boost brings no pkg-config file, so a program is compiled and linked.
AC_DEFUN([EVR_CHECK_BOOST_TEST], [
	BOOST_TEST_CPPFLAGS=-DBOOST_TEST_DYN_LINK
	BOOST_TEST_LIBS=-lboost_unit_test_framework
	AC_LANG_PUSH([C++])
	evr_saved_libs=$LIBS
	evr_saved_cppflags=$CPPFLAGS
	LIBS="$BOOST_TEST_LIBS $LIBS"
	CPPFLAGS="$CPPFLAGS $BOOST_TEST_CPPFLAGS"
	AC_MSG_CHECKING([for Boost.Test])
	AC_LINK_IFELSE([AC_LANG_SOURCE([[
		#define BOOST_TEST_MODULE probe
		#include <boost/test/unit_test.hpp>
		BOOST_AUTO_TEST_CASE(nothing) { BOOST_TEST(true); }
	]])], [evr_boost_test=yes], [evr_boost_test=no])
	AC_MSG_RESULT([$evr_boost_test])
	LIBS=$evr_saved_libs
	CPPFLAGS=$evr_saved_cppflags
	AC_LANG_POP([C++])
	AC_SUBST([BOOST_TEST_CPPFLAGS])
	AC_SUBST([BOOST_TEST_LIBS])
	AS_VAR_IF([evr_boost_test], [yes], [$1], [$2])
])
