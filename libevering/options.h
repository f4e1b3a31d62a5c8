/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_OPTIONS_H
#define EVERINGI_OPTIONS_H

/* options.h - options structs of callers built against another release. */

#include <evering/base.h>

/*
 * Copies a caller's options over @known, which holds the defaults and is @known_bytes
 * long. Every options struct begins with its size as the caller knows it: an older one is
 * shorter, and the rest of @known stays as it is; a newer one is longer, and what is
 * beyond @known must be zero. @least_bytes: what the caller must know.
 *
 * 0; -EINVAL: no options, or too short, or no plausible size; -E2BIG: a field unknown
 * here is used.
 */
int evri_options_take(const void *options, size_t least_bytes, void *known,
		      size_t known_bytes, const char *what);

#endif
