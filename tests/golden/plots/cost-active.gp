# Made by loci plot. To draw it again, in its folder: gnuplot cost-active.gp
set encoding utf8
set colorsequence podo
set border 3 linecolor rgb '#404040'
set tics nomirror out scale 0.6 textcolor rgb '#202020'
set grid linecolor rgb '#e0e0e0' linewidth 0.5 linetype 1 dashtype 1
set tmargin 2.5
set label 1 'Point: mean over n seeds. Bar: 95 % t-interval (none for n = 1); those of one x beside each other.' at screen 0.02, character 0.9 left font ',10' textcolor rgb '#606060'
set bmargin 5.2
set title 'memory: what does quality take in active parameters?'
set tmargin 2.5
set xlabel 'active parameters, in thousands'
set ylabel 'bits per byte (lower is better)'
set rmargin at screen 0.7552
set key at screen 0.7674, graph 1 left top Left reverse samplen 4 spacing 1.2 maxcols 1 width -100
set offsets graph 0.08, graph 0.08, graph 0.08, graph 0.08
set format x '%g'
$series0 << EOD
# x mean low high n
842 2.30965498 2.29224428 2.32706567 3
EOD
$series1 << EOD
# x mean low high n
842 2.35987571 2.34300202 2.37674939 3
EOD
$series2 << EOD
# x mean low high n
842 2.50965448 2.49562993 2.52367903 3
EOD
$series3 << EOD
# x mean low high n
842 2.32979463 2.31561495 2.3439743 3
EOD
$series4 << EOD
# x mean low high n
842 2.26861691 2.253252 2.28398182 3
EOD
$series5 << EOD
# x mean low high n
842 2.40660099 2.34395679 2.46924519 2
EOD
$series6 << EOD
# x mean low high n
1684 2.27986262 2.26405412 2.29567112 3
EOD
$series7 << EOD
# x mean low high n
1684 2.29868912 2.28557832 2.31179992 3
EOD
$series8 << EOD
# x mean low high n
1684 2.45719765 2.40186405 2.51253125 2
EOD
set terminal svg size 821,440 dynamic noenhanced font 'Liberation Sans, Arial, sans-serif,12' background 'white'
set output 'cost-active.svg'
plot $series0 using ($1-29.47):2:3:4 with yerrorbars pointsize 1 linecolor 1 pointtype 5 linewidth 1.6 title 'short 1e-3 (n = 3)', \
     $series1 using ($1-17.68):2:3:4 with yerrorbars pointsize 1 linecolor 1 pointtype 6 linewidth 1.6 title 'short 3e-3 (n = 3)', \
     $series2 using ($1-5.894):2:3:4 with yerrorbars pointsize 1 linecolor 1 pointtype 7 linewidth 1.6 title 'short 1e-2 (n = 3)', \
     $series3 using ($1+5.894):2:3:4 with yerrorbars pointsize 1 linecolor 2 pointtype 5 linewidth 1.6 title 'long 1e-3 (n = 3)', \
     $series4 using ($1+17.68):2:3:4 with yerrorbars pointsize 1 linecolor 2 pointtype 6 linewidth 1.6 title 'long 3e-3 (n = 3)', \
     $series5 using ($1+29.47):2:3:4 with yerrorbars pointsize 1 linecolor 2 pointtype 7 linewidth 1.6 title 'long 1e-2 (n = 2)', \
     $series6 using ($1-11.79):2:3:4 with yerrorbars pointsize 1 linecolor 3 pointtype 5 linewidth 1.6 title 'wide 1e-3 (n = 3)', \
     $series7 using 1:2:3:4 with yerrorbars pointsize 1 linecolor 3 pointtype 6 linewidth 1.6 title 'wide 3e-3 (n = 3)', \
     $series8 using ($1+11.79):2:3:4 with yerrorbars pointsize 1 linecolor 3 pointtype 7 linewidth 1.6 title 'wide 1e-2 (n = 2)'
if (exists('say_map')) print sprintf('map %g %g %g %g %.9g %.9g %.9g %.9g', GPVAL_TERM_XMIN, GPVAL_TERM_XMAX, GPVAL_TERM_YMIN, GPVAL_TERM_YMAX, GPVAL_X_MIN, GPVAL_X_MAX, GPVAL_Y_MIN, GPVAL_Y_MAX)
