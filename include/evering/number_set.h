/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_NUMBER_SET_H
#define EVERING_NUMBER_SET_H

/**
 * number_set.h - a set of small numbers: CPUs, or memory nodes.
 *
 * The kernel numbers both from 0. A set grows with what is put in, so that machines with
 * more than 1 024 CPUs, the limit of cpu_set_t, are like any other. Lists are read and
 * written as numactl(8) and /sys do: "0,2-5".
 *
 *	struct evr_number_set *cpus;
 *	int error = evr_number_set_create(&cpus);
 *
 *	if (!error)
 *		error = evr_number_set_parse(cpus, "0,2-5", NULL);
 *	for (int cpu = evr_number_set_next(cpus, 0); cpu >= 0;
 *	     cpu = evr_number_set_next(cpus, cpu + 1))
 *		printf("%d\n", cpu);
 *	evr_number_set_destroy(cpus);
 *
 * A set is private memory of the process that made it and belongs to the caller, as any
 * malloc()ed thing does; a child made by fork() has a copy of its own. Nothing here makes
 * a system call. Several threads may read one set at once; while one of them changes it
 * nobody else may touch it. Not for signal handlers.
 */

#include <evering/base.h>

EVR_BEGIN_DECLS

/* A number is less: far more than any kernel has CPUs, and 128 KiB at the most. */
#define EVR_NUMBER_SET_LIMIT (1 << 20)

struct evr_number_set;

/**
 * evr_number_set_create() - an empty set.
 * @ret_set:  the new set, to be given to evr_number_set_destroy().
 *
 * Return: 0, or -ENOMEM.
 */
EVR_API EVR_NODISCARD int evr_number_set_create(struct evr_number_set **ret_set);

/**
 * evr_number_set_destroy() - give a set back.
 * @set:  the set, or NULL.
 */
EVR_API void evr_number_set_destroy(struct evr_number_set *set);

/**
 * evr_number_set_clear() - take all numbers out.
 * @set:  the set.
 */
EVR_API void evr_number_set_clear(struct evr_number_set *set);

/**
 * evr_number_set_copy() - make a set hold what another holds.
 * @set:   the set that is overwritten.
 * @from:  what it becomes; may be @set itself.
 *
 * Return: 0, or -ENOMEM, and @set is as it was.
 */
EVR_API EVR_NODISCARD int evr_number_set_copy(struct evr_number_set *set,
					      const struct evr_number_set *from);

/**
 * evr_number_set_add() - put a number in; it may be there already.
 * @set:     the set.
 * @number:  0 to EVR_NUMBER_SET_LIMIT - 1.
 *
 * Return: 0; -EINVAL: no such number; -ENOMEM.
 */
EVR_API EVR_NODISCARD int evr_number_set_add(struct evr_number_set *set, int number);

/**
 * evr_number_set_remove() - take a number out, if it is there.
 * @set:     the set.
 * @number:  any number.
 */
EVR_API void evr_number_set_remove(struct evr_number_set *set, int number);

/**
 * evr_number_set_has() - is a number in the set?
 * @set:     the set.
 * @number:  any number.
 *
 * Return: true if it is.
 */
EVR_API bool evr_number_set_has(const struct evr_number_set *set, int number);

/**
 * evr_number_set_next() - the smallest number in the set that is not below another.
 * @set:     the set.
 * @number:  where to begin; 0 gives the smallest of all.
 *
 * Return: the number, or -1 when there is none.
 */
EVR_API int evr_number_set_next(const struct evr_number_set *set, int number);

/**
 * evr_number_set_count() - how many numbers are in the set.
 * @set:  the set.
 *
 * Return: their count; 0 for an empty set.
 */
EVR_API int evr_number_set_count(const struct evr_number_set *set);

/**
 * evr_number_set_equal() - do two sets hold the same numbers?
 * @a:  one.
 * @b:  the other.
 *
 * Return: true if they do.
 */
EVR_API bool evr_number_set_equal(const struct evr_number_set *a,
				  const struct evr_number_set *b);

/**
 * evr_number_set_parse() - read a list as people write it.
 * @set:     becomes what the list says.
 * @text:    the list, see below.
 * @within:  the numbers that there are, the allowed CPUs for example; NULL: any, and
 *           then a list cannot say "all", "!" or "+". May be @set itself.
 *
 * The grammar is numactl's:
 *
 *	0,2-5      these numbers, in any order, each as often as you like
 *	all        all of @within
 *	!3,5       all of @within but these
 *	+0-1       the first and the second of @within, whatever their numbers are
 *
 * "!" may stand before "+". There are no blanks and no empty parts. Words for parts of a
 * machine, "node:1" for example, are known to evering-pin(1) only.
 *
 * A number that is not in @within is an error and not left out silently; what "!" removes
 * may be missing.
 *
 * Return: 0; -EINVAL: this is no list, or "all", "!", "+" without @within; -ERANGE: a
 * number that is not in @within, or beyond EVR_NUMBER_SET_LIMIT, or "!" that leaves
 * nothing; -ENOMEM. evr_error_detail() names the part of the list. On failure @set is as
 * it was.
 */
EVR_API EVR_NODISCARD int evr_number_set_parse(struct evr_number_set *set,
					       const char *text,
					       const struct evr_number_set *within);

/**
 * evr_number_set_format() - write a set as a list: "0,2-5", or "" when it is empty.
 * @set:     the set.
 * @buffer:  where to, always ended by a NUL unless @bytes is 0; may be NULL then.
 * @bytes:   size of @buffer. What does not fit is cut.
 *
 * Return: the length of the whole list without its NUL, as snprintf() does: it was cut if
 * that is not less than @bytes.
 */
EVR_API size_t evr_number_set_format(const struct evr_number_set *set, char *buffer,
				     size_t bytes);

EVR_END_DECLS

#endif
