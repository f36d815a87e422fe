# Made by loci plot. To draw it again, in its folder: gnuplot slices-position.gp
set encoding utf8
set colorsequence podo
set border 3 linecolor rgb '#404040'
set tics nomirror out scale 0.6 textcolor rgb '#202020'
set grid linecolor rgb '#e0e0e0' linewidth 0.5 linetype 1 dashtype 1
set tmargin 2.5
set label 1 'Point: mean over n seeds; 95 % intervals: loci compare --by. Slices of fewer than 100 tokens: not drawn.' at screen 0.02, character 0.9 left font ',10' textcolor rgb '#606060'
set bmargin 5.2
set title 'memory: where in a document is text hard?'
set tmargin 2.5
set xlabel 'tokens before it in the document (from; each slice up to twice that)'
set ylabel 'validation loss (bits per byte)'
set rmargin at screen 0.7552
set key at screen 0.7674, graph 1 left top Left reverse samplen 4 spacing 1.2 maxcols 1 width -100
set xtics noenhanced ('0' 0, '64' 1, '128' 2)
set xrange [-0.4:2.4]
set yrange [2.20437:2.73326]
$series0 << EOD
# x mean low high n
0 2.3096224 2.3013351 2.31407373 3 0 30000
1 2.30979074 2.30210636 2.3140406 3 64 30000
2 2.30978707 2.30155047 2.31448138 3 128 30000
EOD
$series1 << EOD
# x mean low high n
0 2.30965066 2.30145208 2.3153724 3 0 30000
1 2.35965582 2.35190708 2.36475772 3 64 30000
2 2.40971427 2.40226553 2.41500966 3 128 30000
EOD
$series2 << EOD
# x mean low high n
0 2.30961575 2.30376047 2.31293505 3 0 30000
1 2.50990611 2.50311071 2.51357823 3 64 30000
2 2.70922027 2.70274345 2.71248201 3 128 30000
EOD
$series3 << EOD
# x mean low high n
0 2.30978987 2.30349686 2.31408422 3 0 30000
1 2.32989612 2.32326187 2.33449738 3 64 30000
2 2.34992633 2.34306489 2.35450967 3 128 30000
EOD
$series4 << EOD
# x mean low high n
0 2.30828456 2.30124677 2.31201947 3 0 30000
1 2.26863188 2.26140961 2.27299646 3 64 30000
2 2.22840585 2.22144502 2.23236809 3 128 30000
EOD
$series5 << EOD
# x mean low high n
0 2.30624265 2.3014264 2.3110589 2 0 30000
1 2.40697482 2.402223 2.41172664 2 64 30000
2 2.50676282 2.5014478 2.51207785 2 128 30000
EOD
$series6 << EOD
# x mean low high n
0 2.30954934 2.30249936 2.3143261 3 0 30000
1 2.27986448 2.27246418 2.284388 3 64 30000
2 2.24967806 2.24239306 2.2548672 3 128 30000
EOD
$series7 << EOD
# x mean low high n
0 2.30858336 2.3027529 2.31264826 3 0 30000
1 2.2988567 2.29294926 2.3029205 3 64 30000
2 2.28882951 2.28303312 2.29350698 3 128 30000
EOD
$series8 << EOD
# x mean low high n
0 2.30731823 2.30301834 2.31161813 2 0 30000
1 2.45737023 2.45317299 2.46156748 2 64 30000
2 2.60711619 2.60277372 2.61145865 2 128 30000
EOD
set terminal svg size 821,440 dynamic noenhanced font 'Liberation Sans, Arial, sans-serif,12' background 'white'
set output 'slices-position.svg'
plot $series0 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 1 dashtype 1 linewidth 1.6 title 'short 1e-3 (n = 3)', \
     $series1 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 1 dashtype 2 linewidth 1.6 title 'short 3e-3 (n = 3)', \
     $series2 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 1 dashtype 3 linewidth 1.6 title 'short 1e-2 (n = 3)', \
     $series3 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 2 dashtype 1 linewidth 1.6 title 'long 1e-3 (n = 3)', \
     $series4 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 2 dashtype 2 linewidth 1.6 title 'long 3e-3 (n = 3)', \
     $series5 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 2 dashtype 3 linewidth 1.6 title 'long 1e-2 (n = 2)', \
     $series6 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 3 dashtype 1 linewidth 1.6 title 'wide 1e-3 (n = 3)', \
     $series7 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 3 dashtype 2 linewidth 1.6 title 'wide 3e-3 (n = 3)', \
     $series8 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 3 dashtype 3 linewidth 1.6 title 'wide 1e-2 (n = 2)'
if (exists('say_map')) print sprintf('map %g %g %g %g %.9g %.9g %.9g %.9g', GPVAL_TERM_XMIN, GPVAL_TERM_XMAX, GPVAL_TERM_YMIN, GPVAL_TERM_YMAX, GPVAL_X_MIN, GPVAL_X_MAX, GPVAL_Y_MIN, GPVAL_Y_MAX)
