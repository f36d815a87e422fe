# Made by loci plot. To draw it again, in its folder: gnuplot axis-lr.gp
set encoding utf8
set colorsequence podo
set border 3 linecolor rgb '#404040'
set tics nomirror out scale 0.6 textcolor rgb '#202020'
set grid linecolor rgb '#e0e0e0' linewidth 0.5 linetype 1 dashtype 1
set tmargin 2.5
set label 1 'Point: mean over n seeds. Bar: 95 % t-interval (none for n = 1); those of one x beside each other.' at screen 0.02, character 0.9 left font ',10' textcolor rgb '#606060'
set bmargin 5.2
set title 'memory: which optimizer.lr is best, and how much does it matter?'
set tmargin 2.5
set xlabel 'optimizer.lr'
set ylabel 'bits per byte (lower is better)'
set rmargin at screen 0.7928
set key at screen 0.8056, graph 1 left top Left reverse samplen 2 spacing 1.2 maxcols 1 width -100
set logscale x
set offsets graph 0.08, graph 0.08, graph 0.08, graph 0.08
set autoscale xfix
set format x '%g'
set xtics ('0.001' 0.001, '0.003' 0.003, '0.01' 0.01)
$series0 << EOD
# x mean low high n
0.001 2.30965498 2.29224428 2.32706567 3
0.003 2.35987571 2.34300202 2.37674939 3
0.01 2.50965448 2.49562993 2.52367903 3
EOD
$series1 << EOD
# x mean low high n
0.001 2.32979463 2.31561495 2.3439743 3
0.003 2.26861691 2.253252 2.28398182 3
0.01 2.40660099 2.34395679 2.46924519 2
EOD
$series2 << EOD
# x mean low high n
0.001 2.27986262 2.26405412 2.29567112 3
0.003 2.29868912 2.28557832 2.31179992 3
0.01 2.45719765 2.40186405 2.51253125 2
EOD
set terminal svg size 782,440 dynamic noenhanced font 'Liberation Sans, Arial, sans-serif,12' background 'white'
set output 'axis-lr.svg'
plot $series0 using ($1*0.968278):2:3:4 with yerrorlines pointtype 7 linecolor 1 dashtype 1 linewidth 1.6 title 'short (n = 3)', \
     $series1 using 1:2:3:4 with yerrorlines pointtype 7 linecolor 2 dashtype 1 linewidth 1.6 title 'long (n = 2 to 3)', \
     $series2 using ($1*1.03276):2:3:4 with yerrorlines pointtype 7 linecolor 3 dashtype 1 linewidth 1.6 title 'wide (n = 2 to 3)'
if (exists('say_map')) print sprintf('map %g %g %g %g %.9g %.9g %.9g %.9g', GPVAL_TERM_XMIN, GPVAL_TERM_XMAX, GPVAL_TERM_YMIN, GPVAL_TERM_YMAX, GPVAL_X_MIN, GPVAL_X_MAX, GPVAL_Y_MIN, GPVAL_Y_MAX)
