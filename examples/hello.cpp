/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Two processes: the parent asks, the child answers. The types of both are checked. */
#include <cstdint>
#include <evering/evering.hpp>
#include <iostream>
#include <unistd.h>

struct ask {
	std::int64_t a, b;
};
struct answer {
	std::int64_t product;
};
template <> struct evering::message_traits<ask> : evering::sealed_message<ask> {};
template <> struct evering::message_traits<answer> : evering::sealed_message<answer> {};

/* noexcept: nothing here may unwind into the parent's objects. */
static int child(int fd) noexcept
{
	auto region = evering::region::attach(fd);
	auto pool = evering::pool::open(region);
	auto channel = evering::channel<ask, answer>::open(pool);
	evering::agent agent(pool);
	evering::completer completer(channel, agent);

	while (auto received = completer.receive()) {
		auto [a, b] = received->request();
		received->complete(0, answer{a * b});
	}
	return 0;
}

int main()
try {
	auto region = evering::region::create({.bytes = 1 << 20});
	auto pool = evering::pool::create(region, {{64, 128}});
	auto channel = evering::channel<ask, answer>::create(pool);
	if (fork() == 0)
		_exit(child(region.fd()));

	evering::agent agent(pool);
	evering::submitter submitter(channel, agent);
	for (std::int64_t n = 1; n <= 3; n++)
		submitter.submit(submitter.prepare(n, n + 1), n);
	while (auto done = submitter.reap())
		std::cout << done->request().a << " * " << done->request().b << " = "
			  << done->response().product << '\n';
	while (!channel.try_shutdown())
		;
} catch (const std::system_error &error) {
	std::cerr << error.what() << '\n';
	return 1;
}
