# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The examples. They are programs of a user: public headers and $(evr_lib) only. The
# lines of one in C, and of the one that needs libzstd:
#
#	noinst_PROGRAMS += examples/recover
#	examples_recover_SOURCES = examples/recover.c
#	examples_recover_LDADD = $(evr_lib)
#
#	if HAVE_ZSTD
#	noinst_PROGRAMS += examples/evr-zstd
#	examples_evr_zstd_SOURCES = examples/parallel_zstd/main.cpp ...
#	examples_evr_zstd_CPPFLAGS = $(AM_CPPFLAGS) $(ZSTD_CFLAGS)
#	examples_evr_zstd_LDADD = $(evr_lib) $(ZSTD_LIBS)
#	endif

noinst_PROGRAMS += examples/hello-c examples/hello-cpp examples/named examples/recover
examples_hello_c_SOURCES = examples/hello.c
examples_hello_c_LDADD = $(evr_lib)
examples_hello_cpp_SOURCES = examples/hello.cpp
# Of its own, so that the object is not named as that of hello.c.
examples_hello_cpp_CPPFLAGS = $(AM_CPPFLAGS)
examples_hello_cpp_LDADD = $(evr_lib)
examples_named_SOURCES = examples/named.c
examples_named_LDADD = $(evr_lib)
examples_recover_SOURCES = examples/recover.c
examples_recover_LDADD = $(evr_lib)

if HAVE_ZSTD
noinst_PROGRAMS += examples/evr-zstd
examples_evr_zstd_SOURCES = \
	examples/parallel_zstd/main.cpp \
	examples/parallel_zstd/crew.cpp \
	examples/parallel_zstd/crew.hpp \
	examples/parallel_zstd/failure.hpp \
	examples/parallel_zstd/input.cpp \
	examples/parallel_zstd/input.hpp \
	examples/parallel_zstd/interrupt.cpp \
	examples/parallel_zstd/interrupt.hpp \
	examples/parallel_zstd/job.hpp \
	examples/parallel_zstd/options.cpp \
	examples/parallel_zstd/options.hpp \
	examples/parallel_zstd/output.cpp \
	examples/parallel_zstd/output.hpp \
	examples/parallel_zstd/pipeline.cpp \
	examples/parallel_zstd/pipeline.hpp \
	examples/parallel_zstd/progress.cpp \
	examples/parallel_zstd/progress.hpp \
	examples/parallel_zstd/seats.cpp \
	examples/parallel_zstd/seats.hpp \
	examples/parallel_zstd/stats.cpp \
	examples/parallel_zstd/stats.hpp \
	examples/parallel_zstd/worker.cpp \
	examples/parallel_zstd/worker.hpp \
	examples/parallel_zstd/workspace.cpp \
	examples/parallel_zstd/workspace.hpp
examples_evr_zstd_CPPFLAGS = $(AM_CPPFLAGS) $(ZSTD_CFLAGS)
examples_evr_zstd_LDADD = $(evr_lib) $(ZSTD_LIBS)
endif
