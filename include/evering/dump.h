/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_DUMP_H
#define EVERING_DUMP_H

/**
 * dump.h - a region, told in text: the first thing to look at when something is stuck.
 */

#include <evering/region.h>

EVR_BEGIN_DECLS

/**
 * evr_region_dump() - writes what is going on in a region.
 * @region: an attached region.
 * @fd:     where to; plain text, a line each.
 *
 * Participants (alive, stopped, dead), their agents and intents; the directory; per class
 * how many blocks are free, cached, held, requests, responses, contained, and by whom;
 * rings with their fill and whether they are closed; homes with their submitters; bells
 * with sleepers. Takes no lock and changes nothing: values of a busy region are each true
 * for their own moment. Nothing in the region is trusted: all walks are bounded.
 *
 * Threads: any. Signals: not from handlers.
 *
 * Return: 0, -ENOMEM, or the negative errno of write().
 */
EVR_API int evr_region_dump(struct evr_region *region, int fd) EVR_NODISCARD;

EVR_END_DECLS
#endif
