/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_VERSION_H
#define EVERING_VERSION_H

/**
 * version.h - three numbers that change for three reasons.
 *
 * API: what the headers declare (pkg-config's version). ABI: what a built program may
 * rely on in the library (the soname and the symbol nodes). LAYOUT: what lies in shared
 * memory; processes built against different releases share a region when their layouts
 * agree, and are refused with both numbers named when they do not.
 */

#include <evering/base.h>

#define EVR_VERSION_MAJOR 0
#define EVR_VERSION_MINOR 1
#define EVR_VERSION_PATCH 0
#define EVR_VERSION_STRING "0.1.0"

#define EVR_API_VERSION \
	((EVR_VERSION_MAJOR << 16) | (EVR_VERSION_MINOR << 8) | EVR_VERSION_PATCH)
#define EVR_ABI_VERSION 0
#define EVR_LAYOUT_VERSION 3

/*
 * Feature words, as file systems have them. A region that has an unknown bit in
 * `compat` is used as if the bit were clear; in `ro_compat` it may only be read; in
 * `incompat` it is refused. None is assigned yet.
 */
#define EVR_FEATURES_COMPAT UINT64_C(0)
#define EVR_FEATURES_RO_COMPAT UINT64_C(0)
#define EVR_FEATURES_INCOMPAT UINT64_C(0)

EVR_BEGIN_DECLS

/**
 * evr_version() - the version of the library that is loaded.
 *
 * Threads: any. Signals: safe. After fork: usable.
 *
 * Return: "MAJOR.MINOR.PATCH", static. Compare with EVR_VERSION_STRING, the version that
 * was compiled against.
 */
EVR_API const char *evr_version(void);

EVR_END_DECLS
#endif
