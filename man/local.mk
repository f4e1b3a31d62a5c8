# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The manual pages. page.pl makes them of the templates and of the comments in the
# headers, and beside each page of functions one for every function, which refers to it.
# Which pages there are is therefore known only when they are made: man/manual.list names
# them, and what is installed and removed goes by that list.
#
#	man -M man evr_region_create    reads a page in the build directory

evr_manual = \
	man/evering.7.in \
	man/evering_atomic.3.in \
	man/evering_backoff.3.in \
	man/evering_base.3.in \
	man/evering_block.3.in \
	man/evering_channel.3.in \
	man/evering_cpu.3.in \
	man/evering_doorbell.3.in \
	man/evering_dump.3.in \
	man/evering_error.3.in \
	man/evering_home.3.in \
	man/evering_janitor.3.in \
	man/evering_meet.3.in \
	man/evering_named.3.in \
	man/evering_number_set.3.in \
	man/evering_participant.3.in \
	man/evering_pool.3.in \
	man/evering_recovery.3.in \
	man/evering_region.3.in \
	man/evering_report.3.in \
	man/evering_ring.3.in \
	man/evering_ring_inline.3.in \
	man/evering_ring_lanes.3.in \
	man/evering_token.3.in \
	man/evering_uring.3.in \
	man/evering_version.3.in \
	man/evr-peer.1.in
evr_manual_pin = man/evering-pin.1.in
if HAVE_PIN
evr_manual_built = $(evr_manual) $(evr_manual_pin)
else
evr_manual_built = $(evr_manual)
endif
evr_manual_maker = man/page.pl man/EveringHeader.pm man/EveringMdoc.pm
EXTRA_DIST += $(evr_manual) $(evr_manual_pin) $(evr_manual_maker)

# The day of this version, not of the build: a build made again is the same.
evr_manual_date = November 22, 2026

man/manual.list: $(evr_manual) $(evr_manual_pin) $(evr_manual_maker) \
		$(everinginclude_HEADERS) config.status
	$(AM_V_GEN)$(MKDIR_P) man && rm -rf man/man1 man/man3 man/man7 $@ && \
	perl $(srcdir)/man/page.pl --source $(srcdir) --output man \
		--version $(PACKAGE_VERSION) --date '$(evr_manual_date)' \
		$(evr_manual_built) >$@.tmp && mv $@.tmp $@

all-local: man/manual.list

install-manual: man/manual.list
	@for section in man1 man3 man7; do \
		$(MKDIR_P) "$(DESTDIR)$(mandir)/$$section" || exit; \
		echo " manual pages to '$(DESTDIR)$(mandir)/$$section'"; \
		(cd man && $(INSTALL_DATA) `grep "^$$section/" manual.list` \
			"$(DESTDIR)$(mandir)/$$section") || exit; \
	done

uninstall-manual: man/manual.list
	@test ! -d "$(DESTDIR)$(mandir)" || \
		(cd "$(DESTDIR)$(mandir)" && rm -f `cat $(abs_builddir)/man/manual.list`)

clean-manual:
	rm -rf man/man1 man/man3 man/man7 man/manual.list man/manual.list.tmp

install-data-hook: install-manual
uninstall-hook: uninstall-manual
clean-local: clean-manual

.PHONY: install-manual uninstall-manual clean-manual
