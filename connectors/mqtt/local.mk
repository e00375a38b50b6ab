# SPDX-License-Identifier: Apache-2.0
# The codec.
liblinkspan_a_SOURCES += \
	connectors/mqtt/codec.c \
	connectors/mqtt/codec.h \
	connectors/mqtt/codec_decode.c \
	connectors/mqtt/codec_encode.c \
	connectors/mqtt/codec_internal.h \
	connectors/mqtt/codec_measure.c \
	connectors/mqtt/codec_properties.c \
	connectors/mqtt/codec_reasons.c \
	connectors/mqtt/codec_text.c

# The connector.
liblinkspan_a_SOURCES += \
	connectors/mqtt/settings.c \
	connectors/mqtt/settings.h \
	connectors/mqtt/tls.c \
	connectors/mqtt/tls.h \
	connectors/mqtt/transport.c \
	connectors/mqtt/transport.h
