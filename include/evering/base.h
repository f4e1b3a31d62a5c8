/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_BASE_H
#define EVERING_BASE_H

/**
 * base.h - what every other header stands on: linkage macros, branch hints, the size of
 * a cache line. No system call, no state, nothing to link.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * EVR_API marks a function that libevering.so exports and its symbol map lists.
 *
 * EVR_INLINE marks a function whose body stands in the header, for the fast path. It is
 * exported too (libevering/abi.c makes the library's copy), so that languages which
 * cannot read C headers call the very same code.
 */
#ifndef EVR_API
#define EVR_API __attribute__((visibility("default")))
#endif

#ifndef EVR_INLINE
#ifdef __cplusplus
#define EVR_INLINE inline
#else
#define EVR_INLINE static inline
#endif
#endif

/* A helper of an EVR_INLINE function: never exported, never to be called by users. */
#define EVRI_INLINE static inline __attribute__((always_inline, unused))

#define EVR_NODISCARD __attribute__((warn_unused_result))

#ifdef __cplusplus
#define EVR_BEGIN_DECLS extern "C" {
#define EVR_END_DECLS }
#else
#define EVR_BEGIN_DECLS
#define EVR_END_DECLS
#endif

#define EVR_LIKELY(x) __builtin_expect(!!(x), 1)
#define EVR_UNLIKELY(x) __builtin_expect(!!(x), 0)

/*
 * The unit of sharing between cores. Shared structures are laid out in these and the
 * layout is protocol, so the number is the same on every machine.
 */
#define EVR_CACHE_LINE_BYTES 64
#define EVR_CACHE_ALIGNED __attribute__((aligned(EVR_CACHE_LINE_BYTES)))

#ifdef __cplusplus
#define EVR_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define EVR_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* No deadline: wait for ever. Deadlines are absolute CLOCK_MONOTONIC nanoseconds. */
#define EVR_NEVER UINT64_MAX

/* The line will be written soon: fetch it in exclusive state, so that the store or the
 * compare-and-swap that follows does not pay for two transfers. In assembly, because for
 * plain x86-64 the builtin is a prefetch for reading; every CPU with 64 bits takes this
 * one, as a hint or as nothing. */
EVRI_INLINE void evri_prefetch_write(const void *address)
{
#if defined(__x86_64__)
	__asm__ __volatile__("prefetchw (%0)" ::"r"(address));
#else
	__builtin_prefetch(address, 1, 3);
#endif
}

EVRI_INLINE void evri_prefetch_read(const void *address)
{
	__builtin_prefetch(address, 0, 3);
}

#endif
