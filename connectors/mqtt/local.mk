# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	connectors/mqtt/codec.h \
	connectors/mqtt/settings.c \
	connectors/mqtt/settings.h \
	connectors/mqtt/tls.c \
	connectors/mqtt/tls.h \
	connectors/mqtt/transport.c \
	connectors/mqtt/transport.h
