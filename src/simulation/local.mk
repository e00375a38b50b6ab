# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/simulation/alignment.c \
	src/simulation/alignment.h \
	src/simulation/comparison.c \
	src/simulation/comparison.h \
	src/simulation/json_difference.c \
	src/simulation/json_difference.h \
	src/simulation/peer.c \
	src/simulation/peer.h \
	src/simulation/simulation.c \
	src/simulation/simulation.h \
	src/simulation/trial.c \
	src/simulation/trial.h
