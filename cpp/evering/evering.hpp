/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_EVERING_HPP
#define EVERING_EVERING_HPP

/**
 * evering.hpp - all of the C++ face, and a tour.
 *
 *	region, pool, agent           memory, its blocks, a thread's working set
 *	listener, connect()           strangers get in          meet.hpp
 *	named_region                  one region behind a name    named.hpp
 *	placement, region_report      where its pages are to be   region.hpp
 *	                              and where they are          report.hpp
 *	message                       what may be sent            message.hpp
 *	shm_box, shm_token            values with an owner        box.hpp
 *	request, received, completion a request on its way        request.hpp
 *	channel<T, U>                 a uring with types          channel.hpp
 *	submitter, completer          its two ends                channel.hpp
 *	ring, pusher, popper          blocks handed on            ring.hpp
 *	recover()                     what the dead held          recovery.hpp
 *	janitor                       the same, from a loop       janitor.hpp
 *	spsc<T>                       small entries, one to one   ring_inline.hpp
 *	lanes<T>                      many to one                 ring_lanes.hpp
 *	backoff                       how to poll them            backoff.hpp
 *	number_set, pin()             CPUs, nodes, roles          cpu.hpp
 *
 * One process makes it all, and hands the region's descriptor over:
 *
 *	auto region = evering::region::create({.bytes = 1 << 20});
 *	auto pool = evering::pool::create(region, {{64, 128}});
 *	evering::agent agent(pool);
 *	auto channel = evering::channel<ask, answer>::create(pool);
 *	evering::submitter submitter(channel, agent);
 *
 *	auto request = submitter.prepare(ask{6, 7});
 *	submitter.submit(std::move(request));
 *	auto done = submitter.reap();
 *	use(done->response());
 *
 * Another attaches to it, and serves:
 *
 *	auto region = evering::region::attach(fd);
 *	auto pool = evering::pool::open(region);
 *	evering::agent agent(pool);
 *	auto channel = evering::channel<ask, answer>::open(pool);
 *	evering::completer completer(channel, agent);
 *
 *	while (auto received = completer.receive()) {
 *		auto [a, b] = received->request();
 *		received->complete(0, answer{a * b});
 *	}
 *
 * Each object ends before those it was made from: declared in this order, they do. It is
 * a face: the data path is the C functions' inline code, and get() leads back to them.
 */

#include <evering/backoff.hpp>
#include <evering/box.hpp>
#include <evering/channel.hpp>
#include <evering/cpu.hpp>
#include <evering/deadline.hpp>
#include <evering/error.hpp>
#include <evering/evering.h>
#include <evering/janitor.hpp>
#include <evering/meet.hpp>
#include <evering/message.hpp>
#include <evering/named.hpp>
#include <evering/pool.hpp>
#include <evering/recovery.hpp>
#include <evering/region.hpp>
#include <evering/report.hpp>
#include <evering/request.hpp>
#include <evering/ring.hpp>
#include <evering/ring_inline.hpp>
#include <evering/ring_lanes.hpp>
#include <evering/uring.hpp>

#endif
