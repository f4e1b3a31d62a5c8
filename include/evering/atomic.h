/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_ATOMIC_H
#define EVERING_ATOMIC_H

/**
 * atomic.h - the integers that processes share.
 *
 * A shared word is a plain integer in a struct of its own, touched only through the
 * functions here, whose names carry the memory order. `_Atomic` and `std::atomic` are
 * not used: their layouts need not agree between C and C++, and shared memory is read
 * by both. At most 64 bits wide, so that every target has them without a lock.
 *
 * The layer is substitutable: define EVR_ATOMIC_HEADER to the name of a header that
 * supplies the same types and functions, and the data path above it runs unchanged
 * inside a model checker. That is also why *plain* accesses to shared memory (those
 * that some other word orders) go through evr_plain_load/store.
 *
 * Every ordered access elsewhere in this library carries a comment "SYNC topic/edge"
 * that names its partner and says what breaks when the order is weaker.
 */

#include <evering/base.h>

#ifdef EVR_ATOMIC_HEADER
#include EVR_ATOMIC_HEADER
#else

struct evr_atomic_u32 {
	uint32_t raw;
};

struct evr_atomic_u64 {
	uint64_t raw;
};

EVR_STATIC_ASSERT(sizeof(struct evr_atomic_u32) == 4, "shared layout");
EVR_STATIC_ASSERT(sizeof(struct evr_atomic_u64) == 8, "shared layout");
EVR_STATIC_ASSERT(__GCC_ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics without a lock");

/**
 * evr_load_relaxed_u32(), evr_load_acquire_u32(), evr_load_relaxed_u64(),
 * evr_load_acquire_u64(), evr_load_seq_cst_u64() - read a shared word.
 * @word:  the word.
 *
 * Return: its value.
 */
EVRI_INLINE uint32_t evr_load_relaxed_u32(const struct evr_atomic_u32 *word)
{
	return __atomic_load_n(&word->raw, __ATOMIC_RELAXED);
}

EVRI_INLINE uint32_t evr_load_acquire_u32(const struct evr_atomic_u32 *word)
{
	return __atomic_load_n(&word->raw, __ATOMIC_ACQUIRE);
}

/**
 * evr_store_relaxed_u32(), evr_store_release_u32(), evr_store_relaxed_u64(),
 * evr_store_release_u64() - write a shared word.
 * @word:   the word.
 * @value:  what it becomes.
 */
EVRI_INLINE void evr_store_relaxed_u32(struct evr_atomic_u32 *word, uint32_t value)
{
	__atomic_store_n(&word->raw, value, __ATOMIC_RELAXED);
}

EVRI_INLINE void evr_store_release_u32(struct evr_atomic_u32 *word, uint32_t value)
{
	__atomic_store_n(&word->raw, value, __ATOMIC_RELEASE);
}

/**
 * evr_cas_acq_rel_u32(), evr_cas_acq_rel_u64(), evr_cas_release_u64(),
 * evr_cas_seq_cst_u64() - compare and swap.
 * @word:      the word.
 * @expected:  what it must be; becomes what was found when it is not.
 * @desired:   what it becomes.
 *
 * Never fails spuriously: a caller may conclude from a failure that the word was
 * different. What was found then is read with acquire order by acq_rel, relaxed by
 * release, sequentially consistent by seq_cst.
 *
 * Return: true when the word was changed.
 */
EVRI_INLINE bool evr_cas_acq_rel_u32(struct evr_atomic_u32 *word, uint32_t *expected,
				     uint32_t desired)
{
	return __atomic_compare_exchange_n(&word->raw, expected, desired, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/**
 * evr_fetch_add_acq_rel_u32(), evr_fetch_add_relaxed_u32(),
 * evr_fetch_add_acq_rel_u64(), evr_fetch_add_relaxed_u64() - add to a shared word.
 * @word:    the word.
 * @addend:  how much; sums wrap.
 *
 * Return: what it was before.
 */
EVRI_INLINE uint32_t evr_fetch_add_acq_rel_u32(struct evr_atomic_u32 *word,
					       uint32_t addend)
{
	return __atomic_fetch_add(&word->raw, addend, __ATOMIC_ACQ_REL);
}

EVRI_INLINE uint32_t evr_fetch_add_relaxed_u32(struct evr_atomic_u32 *word,
					       uint32_t addend)
{
	return __atomic_fetch_add(&word->raw, addend, __ATOMIC_RELAXED);
}

EVRI_INLINE uint64_t evr_load_relaxed_u64(const struct evr_atomic_u64 *word)
{
	return __atomic_load_n(&word->raw, __ATOMIC_RELAXED);
}

EVRI_INLINE uint64_t evr_load_acquire_u64(const struct evr_atomic_u64 *word)
{
	return __atomic_load_n(&word->raw, __ATOMIC_ACQUIRE);
}

EVRI_INLINE uint64_t evr_load_seq_cst_u64(const struct evr_atomic_u64 *word)
{
	return __atomic_load_n(&word->raw, __ATOMIC_SEQ_CST);
}

EVRI_INLINE void evr_store_relaxed_u64(struct evr_atomic_u64 *word, uint64_t value)
{
	__atomic_store_n(&word->raw, value, __ATOMIC_RELAXED);
}

EVRI_INLINE void evr_store_release_u64(struct evr_atomic_u64 *word, uint64_t value)
{
	__atomic_store_n(&word->raw, value, __ATOMIC_RELEASE);
}

EVRI_INLINE bool evr_cas_acq_rel_u64(struct evr_atomic_u64 *word, uint64_t *expected,
				     uint64_t desired)
{
	return __atomic_compare_exchange_n(&word->raw, expected, desired, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

EVRI_INLINE bool evr_cas_release_u64(struct evr_atomic_u64 *word, uint64_t *expected,
				     uint64_t desired)
{
	return __atomic_compare_exchange_n(&word->raw, expected, desired, false,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

EVRI_INLINE bool evr_cas_seq_cst_u64(struct evr_atomic_u64 *word, uint64_t *expected,
				     uint64_t desired)
{
	return __atomic_compare_exchange_n(&word->raw, expected, desired, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

EVRI_INLINE uint64_t evr_fetch_add_acq_rel_u64(struct evr_atomic_u64 *word,
					       uint64_t addend)
{
	return __atomic_fetch_add(&word->raw, addend, __ATOMIC_ACQ_REL);
}

EVRI_INLINE uint64_t evr_fetch_add_relaxed_u64(struct evr_atomic_u64 *word,
					       uint64_t addend)
{
	return __atomic_fetch_add(&word->raw, addend, __ATOMIC_RELAXED);
}

/**
 * evr_fetch_or_acq_rel_u64() - set bits of a shared word.
 * @word:  the word.
 * @bits:  which; those that are set already stay so.
 *
 * Return: what it was before.
 */
EVRI_INLINE uint64_t evr_fetch_or_acq_rel_u64(struct evr_atomic_u64 *word, uint64_t bits)
{
	return __atomic_fetch_or(&word->raw, bits, __ATOMIC_ACQ_REL);
}

/** evr_fence_seq_cst() - a full fence. */
EVRI_INLINE void evr_fence_seq_cst(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/**
 * evr_fence_after_cas() - the fence between "published by a compare-and-swap" and "look
 * whether somebody sleeps".
 *
 * On x86 the locked instruction was a full barrier already and only the
 * compiler must be told; elsewhere it is a real fence.
 */
EVRI_INLINE void evr_fence_after_cas(void)
{
#if defined(__x86_64__)
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/**
 * evr_plain_load_u64(), evr_plain_store_u64(), evr_plain_load_u32(),
 * evr_plain_store_u32() - a shared field that another word orders.
 * @field:  the field.
 * @value:  what it becomes.
 *
 * One access, never torn by the compiler, never made twice.
 *
 * Return: (load) its value.
 */
EVRI_INLINE uint64_t evr_plain_load_u64(const uint64_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

EVRI_INLINE void evr_plain_store_u64(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

EVRI_INLINE uint32_t evr_plain_load_u32(const uint32_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

EVRI_INLINE void evr_plain_store_u32(uint32_t *field, uint32_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

/**
 * evr_pause() - one turn of a spin loop.
 *
 * The instruction is long on today's CPUs, so one a turn is a coarse back-off already.
 */
EVRI_INLINE void evr_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb" ::: "memory");
#else
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

#endif
#endif
