/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* geometry.c - how big the regions are: tiny, so that operations are short and rings run
 * full, empty and around. */

#include "crash.h"

#include <evering/pool.h>

const struct geometry geometry_usual = {
	.blocks = 96,
	.batch = 4,
	.ring_order = 3,
	.submission = 8,
	.completion = 8,
	.submitters = 5,
};

/* The same with blocks whose words alloc and free leave alone. */
const struct geometry geometry_untracked = {
	.blocks = 96,
	.batch = 4,
	.ring_order = 3,
	.submission = 8,
	.completion = 8,
	.submitters = 5,
	.pool_flags = EVR_POOL_UNTRACKED,
};

/* For duets of recovery, which is tried again and again at each of its points. */
const struct geometry geometry_tiny = {
	.blocks = 14,
	.batch = 2,
	.ring_order = 2,
	.submission = 4,
	.completion = 4,
	.submitters = 3,
};

/* For growing: the region and its pool. */
const struct geometry geometry_growing = {
	.blocks = 32,
	.batch = 2,
	.ring_order = 2,
	.submission = 8,
	.completion = 4,
	.submitters = 4,
	.grow_bytes = 1024 * 1024,
};

/* The same with blocks that pages can be taken from. */
const struct geometry geometry_retiring = {
	.blocks = 32,
	.batch = 2,
	.ring_order = 2,
	.submission = 8,
	.completion = 4,
	.submitters = 4,
	.grow_bytes = 1024 * 1024,
	.large = 1,
};

/* The same with prefixes beside: whole payloads are pages. */
const struct geometry geometry_retiring_beside = {
	.blocks = 32,
	.batch = 2,
	.ring_order = 2,
	.submission = 8,
	.completion = 4,
	.submitters = 4,
	.grow_bytes = 1024 * 1024,
	.large = 1,
	.alignment = 4096,
};

/* For recovery, whose length grows with all of it. */
const struct geometry geometry_small = {
	.blocks = 32,
	.batch = 2,
	.ring_order = 2,
	.submission = 8,
	.completion = 4,
	.submitters = 4,
};

/* Misuse is looked for: what is free is poisoned, and has its canary. */
const struct geometry geometry_hardened = {
	.blocks = 96,
	.batch = 4,
	.ring_order = 3,
	.submission = 8,
	.completion = 8,
	.submitters = 5,
	.pool_flags = EVR_POOL_HARDENED | EVR_POOL_POISONED,
};

/* Blocks whose prefixes stand beside, a few of them. */
const struct geometry geometry_aligned = {
	.blocks = 32,
	.batch = 2,
	.ring_order = 2,
	.submission = 8,
	.completion = 4,
	.submitters = 4,
	.large = 8,
	.alignment = 4096,
};

/* More may be in flight than the submission ring has room for. */
const struct geometry geometry_submitting = {
	.blocks = 32,
	.batch = 2,
	.ring_order = 2,
	.submission = 4,
	.completion = 8,
	.submitters = 5,
};
