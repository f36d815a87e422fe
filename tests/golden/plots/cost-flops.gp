# Made by loci plot. To draw it again, in its folder: gnuplot cost-flops.gp
set encoding utf8
set colorsequence podo
set border 3 linecolor rgb '#404040'
set tics nomirror out scale 0.6 textcolor rgb '#202020'
set grid linecolor rgb '#e0e0e0' linewidth 0.5 linetype 1 dashtype 1
set bmargin 5.2
set tmargin 2.4
set label 1 'Point: mean over n seeds. Bar: 95 % t-interval (none for n = 1).' at screen 0.02, character 0.9 left font ',9' textcolor rgb '#606060'
set title 'memory'
set xlabel 'forward FLOPs per token, in millions'
set ylabel 'bits per byte (lower is better)'
set offsets graph 0.08, graph 0.08, graph 0.08, graph 0.08
set key outside right top Left reverse samplen 1.5 spacing 1.2
set format x '%g'
$variant0 << EOD
1684000 2.30965498 2.29224428 2.32706567 3
EOD
$variant1 << EOD
1684000 2.35987571 2.34300202 2.37674939 3
EOD
$variant2 << EOD
1684000 2.50965448 2.49562993 2.52367903 3
EOD
$variant3 << EOD
1684000 2.32979463 2.31561495 2.3439743 3
EOD
$variant4 << EOD
1684000 2.26861691 2.253252 2.28398182 3
EOD
$variant5 << EOD
1684000 2.40660099 2.34395679 2.46924519 2
EOD
$variant6 << EOD
3368000 2.27986262 2.26405412 2.29567112 3
EOD
$variant7 << EOD
3368000 2.29868912 2.28557832 2.31179992 3
EOD
$variant8 << EOD
3368000 2.45719765 2.40186405 2.51253125 2
EOD
set terminal svg size 760,440 dynamic noenhanced font 'Liberation Sans, Arial, sans-serif,11' background 'white'
set output 'cost-flops.svg'
plot $variant0 using ($1/1e+06):2:3:4 with yerrorbars linecolor 1 pointtype 5 pointsize 1 linewidth 1.5 title 'short 1e-3 (n = 3)', \
     $variant1 using ($1/1e+06):2:3:4 with yerrorbars linecolor 2 pointtype 5 pointsize 1 linewidth 1.5 title 'short 3e-3 (n = 3)', \
     $variant2 using ($1/1e+06):2:3:4 with yerrorbars linecolor 3 pointtype 5 pointsize 1 linewidth 1.5 title 'short 1e-2 (n = 3)', \
     $variant3 using ($1/1e+06):2:3:4 with yerrorbars linecolor 4 pointtype 5 pointsize 1 linewidth 1.5 title 'long 1e-3 (n = 3)', \
     $variant4 using ($1/1e+06):2:3:4 with yerrorbars linecolor 6 pointtype 5 pointsize 1 linewidth 1.5 title 'long 3e-3 (n = 3)', \
     $variant5 using ($1/1e+06):2:3:4 with yerrorbars linecolor 7 pointtype 5 pointsize 1 linewidth 1.5 title 'long 1e-2 (n = 2)', \
     $variant6 using ($1/1e+06):2:3:4 with yerrorbars linecolor 8 pointtype 5 pointsize 1 linewidth 1.5 title 'wide 1e-3 (n = 3)', \
     $variant7 using ($1/1e+06):2:3:4 with yerrorbars linecolor 1 pointtype 6 pointsize 1 linewidth 1.5 title 'wide 3e-3 (n = 3)', \
     $variant8 using ($1/1e+06):2:3:4 with yerrorbars linecolor 2 pointtype 6 pointsize 1 linewidth 1.5 title 'wide 1e-2 (n = 2)'
