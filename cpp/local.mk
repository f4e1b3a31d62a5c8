# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The C++ face: headers only, installed beside the C ones.

# EVERING-HEADERS-BEGIN
everinginclude_HEADERS += \
	cpp/evering/backoff.hpp \
	cpp/evering/box.hpp \
	cpp/evering/channel.hpp \
	cpp/evering/cpu.hpp \
	cpp/evering/deadline.hpp \
	cpp/evering/error.hpp \
	cpp/evering/evering.hpp \
	cpp/evering/handle.hpp \
	cpp/evering/janitor.hpp \
	cpp/evering/meet.hpp \
	cpp/evering/message.hpp \
	cpp/evering/named.hpp \
	cpp/evering/pool.hpp \
	cpp/evering/recovery.hpp \
	cpp/evering/region.hpp \
	cpp/evering/report.hpp \
	cpp/evering/request.hpp \
	cpp/evering/ring_inline.hpp \
	cpp/evering/ring_lanes.hpp \
	cpp/evering/ring.hpp \
	cpp/evering/uring.hpp
# EVERING-HEADERS-END
