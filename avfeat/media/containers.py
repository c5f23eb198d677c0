"""Which containers are opened: those that hold their media themselves.

FFmpeg knows some 370 formats, and takes whichever a file looks like. Some of them are no media but directions to
it: HLS, DASH, SDP, RTSP, ffconcat, IMF and AviSynth name other files and addresses, ``image2`` takes a name for a
pattern, ``lavfi`` and ``ffmetadata`` are little programs. Who may hand over a file could so make us read others, or
open sockets. A file that FFmpeg takes for anything but the formats below is not opened, however it came in.
"""

from __future__ import annotations

_CONTAINERS = """
    3gp 3g2 m4a mj2 mov mp4 matroska webm avi mpegts mpeg flv live_flv asf ogg mxf gxf nut nuv wtv rm dv ivf
    obu yuv4mpegpipe swf vivo dhav roq bink smk gif apng
"""
_SOUND = """
    wav w64 aiff caf au mp3 aac ac3 eac3 ac4 dts dtshd truehd mlp flac ape wv tta tak shn mpc mpc8 oma amr amrnb
    amrwb voc qcp gsm ircam sox spdif xwma loas iamf dsf iff nistsphere pvf wve wsd osq qoa sbc ast vqf rka
    codec2 adx sln alaw mulaw g722 g729 ilbc
"""
_BARE_VIDEO = """
    h261 h263 h264 hevc vvc evc m4v mpegvideo vc1 vc1test dirac cavsvideo avs2 avs3 av1 apv dnxhd mjpeg mjpeg_2000
"""
# Nothing in them can be embedded, and the answer says so.
_WORDS = "srt ass webvtt"

_PICTURES = """
    bmp_pipe dds_pipe dpx_pipe exr_pipe gif_pipe hdr_pipe j2k_pipe jpeg_pipe jpegls_pipe jpegxl_pipe pam_pipe
    pbm_pipe pcx_pipe pfm_pipe pgm_pipe png_pipe ppm_pipe psd_pipe qoi_pipe sgi_pipe sunrast_pipe tiff_pipe
    webp_pipe xbm_pipe xpm_pipe ico
"""

STILLS = frozenset(_PICTURES.split())
"""Formats of one still picture."""

OPENED = frozenset(f"{_CONTAINERS} {_SOUND} {_BARE_VIDEO} {_WORDS}".split()) | STILLS
"""FFmpeg's names of the formats that are opened."""

OPTIONS = {
    "format_whitelist": ",".join(sorted(OPENED)),
    # A second lock: should one of them want another file after all, it may not leave the machine.
    "protocol_whitelist": "file",
}
"""What every ``av.open`` is given."""

PLAYLIST_OPTIONS = {**OPTIONS, "format_whitelist": ",".join(sorted(OPENED | {"hls"})), "max_reload": "1"}
"""What it is given for an HLS playlist that the caller has asked for."""
