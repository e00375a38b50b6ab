# SPDX-License-Identifier: Apache-2.0
# Journals on a simulated disk. `make check` runs small campaigns; with arguments they run longer ones.
check_PROGRAMS += tests/crash/damage tests/crash/powerloss
tests_crash_powerloss_SOURCES = tests/crash/powerloss.c
tests_crash_powerloss_LDADD = $(LINKSPAN_LIBS)
tests_crash_damage_SOURCES = tests/crash/damage.c
tests_crash_damage_LDADD = $(LINKSPAN_LIBS)
