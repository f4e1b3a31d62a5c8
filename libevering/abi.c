/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * abi.c - the library's own copies of the inline functions.
 *
 * C and C++ callers get them from the headers; callers in other languages, which cannot
 * read C headers, link these. Same source, same behaviour.
 */

#include <evering/base.h>

#undef EVR_INLINE
#define EVR_INLINE EVR_API

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#include <evering/evering.h>
