# SPDX-License-Identifier: Apache-2.0 OR MIT

# EVR_TRY_FLAG(LANGUAGE, FLAG, IF-YES, IF-NO)
# Does the compiler take FLAG, and can what it compiles then be linked? -Werror makes
# clang refuse what it would otherwise only mention.
AC_DEFUN([EVR_TRY_FLAG], [
	AC_LANG_PUSH([$1])
	m4_if([$1], [C], [m4_pushdef([evr_flags], [CFLAGS])],
		[m4_pushdef([evr_flags], [CXXFLAGS])])
	evr_saved_flags=$evr_flags
	evr_flags="$evr_flags -Werror $2"
	AC_MSG_CHECKING([whether the $1 compiler takes $2])
	AC_LINK_IFELSE([AC_LANG_PROGRAM()], [evr_taken=yes], [evr_taken=no])
	AC_MSG_RESULT([$evr_taken])
	evr_flags=$evr_saved_flags
	m4_popdef([evr_flags])
	AC_LANG_POP([$1])
	AS_VAR_IF([evr_taken], [yes], [$3], [$4])
])

# EVR_APPEND_FLAGS(LANGUAGE, VARIABLE, FLAGS): those of FLAGS that the compiler takes.
AC_DEFUN([EVR_APPEND_FLAGS], [
	m4_foreach_w([evr_flag], [$3], [
		EVR_TRY_FLAG([$1], evr_flag, [AS_VAR_APPEND([$2], [" evr_flag"])], [:])])
])

# EVR_REQUIRE_FLAG(LANGUAGE, VARIABLE, FLAG, WHAT IS WANTED)
AC_DEFUN([EVR_REQUIRE_FLAG], [
	EVR_TRY_FLAG([$1], [$3], [AS_VAR_APPEND([$2], [" $3"])],
		[AC_MSG_ERROR([evering needs $4: '$3' did not compile and link])])
	AC_SUBST([$2])
])

# EVR_CHECK_CXX_HEADER(HEADER, IF-YES, IF-NO)
# AC_CHECK_HEADERS would compile it as C++ of the compiler's own choice.
AC_DEFUN([EVR_CHECK_CXX_HEADER], [
	AC_LANG_PUSH([C++])
	evr_saved_flags=$CXXFLAGS
	CXXFLAGS="$CXXFLAGS $EVR_STD_CXXFLAGS"
	AC_MSG_CHECKING([for $1])
	AC_PREPROC_IFELSE([AC_LANG_SOURCE([[#include <$1>]])],
		[evr_found=yes], [evr_found=no])
	AC_MSG_RESULT([$evr_found])
	CXXFLAGS=$evr_saved_flags
	AC_LANG_POP([C++])
	AS_VAR_IF([evr_found], [yes], [$2], [$3])
])
